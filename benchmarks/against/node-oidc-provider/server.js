// node-oidc-provider over PostgreSQL, with the features that are measured: client credentials, codes with PKCE,
// rotating refresh tokens, introspection that says whether the bearer is a member. Opaque tokens, ES256.
//
// A second port, which the load never sees, makes grants and their tokens by the provider's own models.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";

import { Provider } from "oidc-provider";

import { Adapter, member, pool, prepareTables } from "./adapter.js";

const { PORT, SEED_PORT, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, SCOPE, CODE_CHALLENGE, MEMBERS, RESOURCE } = process.env;

await prepareTables();
const people = Array.from({ length: Number(MEMBERS) }, () => randomUUID());
await pool.query(
  `INSERT INTO accounts (id, handle, member_until)
   SELECT id, 'person' || number, now() + interval '1 year' FROM unnest($1::uuid[]) WITH ORDINALITY AS p (id, number)`,
  [people],
);
await new Adapter("Client").upsert(CLIENT_ID, {
  client_id: CLIENT_ID,
  client_secret: CLIENT_SECRET,
  redirect_uris: [REDIRECT_URI],
  grant_types: ["authorization_code", "refresh_token", "client_credentials"],
  scope: `${SCOPE} entitlements`,
  id_token_signed_response_alg: "ES256",
});

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });

const provider = new Provider(`http://127.0.0.1:${PORT}`, {
  adapter: Adapter,
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), alg: "ES256", use: "sig" }] },
  scopes: ["openid", "profile", "offline_access", "entitlements"],
  claims: { openid: ["sub", "membership", "groups"], profile: ["preferred_username"] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: {
      enabled: true,
      async allowedPolicy(ctx, client, token) {
        if (token.clientId !== client.clientId) return false;
        if (token.accountId) Object.assign(ctx.body, standing(await member(token.accountId)));
        return true;
      },
    },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({
        scope: "entitlements",
        audience: RESOURCE,
        accessTokenFormat: "jwt",
        accessTokenTTL: 300,
        jwt: { sign: { alg: "ES256" } },
      }),
    },
    revocation: { enabled: true },
  },
  rotateRefreshToken: true,
  ttl: { AccessToken: 3600, AuthorizationCode: 60, ClientCredentials: 3600, Grant: 5184000, IdToken: 3600, RefreshToken: 5184000 },
  async findAccount(ctx, id) {
    const found = await member(id);
    return found && {
      accountId: id,
      claims: () => ({ sub: id, preferred_username: found.handle, ...standing(found) }),
    };
  },
});

function standing(found) {
  return found?.active ? { membership: "active", groups: ["coop-members"] } : { membership: "none", groups: [] };
}

async function tokens(kind, count) {
  const client = await provider.Client.find(CLIENT_ID);
  const one = async (number) => {
    const accountId = people[number % people.length];
    const grant = new provider.Grant({ accountId, clientId: CLIENT_ID });
    grant.addOIDCScope(SCOPE);
    const now = Math.floor(Date.now() / 1000);
    const facts = {
      accountId, client, grantId: await grant.save(), gty: "authorization_code", scope: SCOPE,
      authTime: now, nonce: "a nonce", claims: {}, sessionUid: randomUUID(), iiat: now,
    };
    const code = { redirectUri: REDIRECT_URI, codeChallenge: CODE_CHALLENGE, codeChallengeMethod: "S256" };
    return new provider[kind](kind === "AuthorizationCode" ? { ...facts, ...code } : facts).save();
  };
  return Promise.all(Array.from({ length: count }, (_, number) => one(number)));
}

createServer(async (request, response) => {
  const [, kind, count] = request.url.split("/");
  if (kind !== "ANALYZE") return response.end(JSON.stringify(await tokens(kind, Number(count))));
  await pool.query("ANALYZE");
  return response.end("[]");
}).listen(Number(SEED_PORT), "127.0.0.1");

provider.on("server_error", (_ctx, error) => console.error(error));
provider.listen(Number(PORT), "127.0.0.1");
