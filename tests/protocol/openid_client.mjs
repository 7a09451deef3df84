// A relying party that nobody here wrote: openid-client, certified by the OpenID Foundation, with a scripted browser.
// Each topic is one way to use it. Prints what it learnt as JSON; whatever it finds wrong with the provider makes it fail.
import * as oidc from "openid-client";
import { Browser } from "./scripted_browser.mjs";

const [topic, issuer, handle, password, ...choices] = process.argv.slice(2);
const insecure = { execute: [oidc.allowInsecureRequests] }; // plain http, since the test is on loopback
const callback = "https://witness.example/callback";
const goodbye = "https://witness.example/bye";
const browser = new Browser(issuer);
const person = {
  "/sign-in": { name: handle, password },
  "/oauth/consent": { decision: "allow", email: "yes" },
  "/oauth/sign-out": { decision: "sign-out" },
};

async function registered(metadata = {}, authentication = undefined) {
  const config = await oidc.dynamicClientRegistration(
    new URL(issuer),
    {
      client_name: "Witness",
      redirect_uris: [callback],
      post_logout_redirect_uris: [goodbye],
      grant_types: ["authorization_code", "refresh_token"],
      token_endpoint_auth_method: "client_secret_post",
      id_token_signed_response_alg: "ES256",
      ...metadata,
    },
    authentication,
    insecure,
  );
  // It would trust the connection otherwise; so it verifies every signature by the published keys.
  oidc.enableNonRepudiationChecks(config);
  return config;
}

// Signs the person in; state, nonce, iss, PKCE and signature are checked by openid-client.
async function signIn(config, asked = {}, checks = {}, met = []) {
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier();
  const expectedState = oidc.randomState();
  const expectedNonce = oidc.randomNonce();
  const start = oidc.buildAuthorizationUrl(config, {
    redirect_uri: callback,
    scope: "openid profile email offline_access",
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
    state: expectedState,
    nonce: expectedNonce,
    ...asked,
  });
  const landed = await browser.follow(start, person, met);
  const expected = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true, ...checks };
  return oidc.authorizationCodeGrant(config, landed, expected);
}

// The error that openid-client makes of what `attempt` is answered.
async function errorOf(attempt) {
  try {
    await attempt();
  } catch (error) {
    // A refusal with a challenge (RFC 6750, RFC 7617) is read out of its header.
    const [challenge] = error.code === "OAUTH_WWW_AUTHENTICATE_CHALLENGE" ? error.cause : [];
    if (!error.error && !challenge) throw error;
    return { error: error.error ?? challenge.parameters.error, scheme: challenge?.scheme, status: error.status };
  }
  throw new Error("it was not refused");
}

const topics = {
  // Everything that a network does in a member's year, with ID Tokens of one algorithm.
  async life(algorithm) {
    const config = await registered({
      grant_types: ["authorization_code", "refresh_token", "client_credentials"],
      token_endpoint_auth_method: "client_secret_post",
      id_token_signed_response_alg: algorithm,
    });
    const tokens = await signIn(config, { max_age: "600" }, { maxAge: 600 });
    const claims = tokens.claims();
    const header = JSON.parse(Buffer.from(tokens.id_token.split(".")[0], "base64url"));
    const userinfo = await oidc.fetchUserInfo(config, tokens.access_token, claims.sub);
    const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token);
    const introspected = await oidc.tokenIntrospection(config, refreshed.access_token);
    const own = await oidc.clientCredentialsGrant(config, { scope: "entitlements" });
    await oidc.tokenRevocation(config, refreshed.refresh_token);
    const afterwards = await oidc.tokenIntrospection(config, refreshed.access_token);
    const end = { id_token_hint: tokens.id_token, post_logout_redirect_uri: goodbye, state: "s" };
    const bye = await browser.follow(oidc.buildEndSessionUrl(config, end), person);
    const { scope } = refreshed;
    const sub = refreshed.claims().sub;
    return { header, claims, userinfo, refreshed: { scope, sub }, introspected, own: own.scope, afterwards, bye };
  },

  // Finds the provider by either well-known address, and proves itself in the way it is registered for.
  async authentication(method) {
    const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
    const jwk = { ...(await crypto.subtle.exportKey("jwk", pair.publicKey)), kid: "mine", alg: "ES256", use: "sig" };
    const keys = method === "private_key_jwt" ? { jwks: { keys: [jwk] } } : {};
    const made = await registered({ token_endpoint_auth_method: method, ...keys });
    const { client_id, client_secret } = made.clientMetadata();
    const proofs = {
      private_key_jwt: () => oidc.PrivateKeyJwt({ key: pair.privateKey, kid: "mine" }),
      client_secret_basic: oidc.ClientSecretBasic,
      client_secret_post: oidc.ClientSecretPost,
      none: oidc.None,
    };
    const found = [];
    for (const algorithm of ["oidc", "oauth2"]) {
      const metadata = { client_secret, id_token_signed_response_alg: "ES256" };
      const proof = proofs[method](client_secret);
      const config = await oidc.discovery(new URL(issuer), client_id, metadata, proof, { ...insecure, algorithm });
      oidc.enableNonRepudiationChecks(config);
      const tokens = await signIn(config);
      const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token);
      await oidc.tokenRevocation(config, refreshed.access_token);
      const dead = await errorOf(() => oidc.fetchUserInfo(config, refreshed.access_token, tokens.claims().sub));
      found.push({ issuer: config.serverMetadata().issuer, sub: tokens.claims().sub, dead });
    }
    return { found };
  },

  // Has everything signed that can be, and verifies it.
  async signatures(algorithm) {
    const config = await registered({
      id_token_signed_response_alg: algorithm,
      userinfo_signed_response_alg: algorithm,
      introspection_signed_response_alg: algorithm,
    });
    const tokens = await signIn(config);
    const userinfo = await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
    const introspected = await oidc.tokenIntrospection(config, tokens.access_token);
    return { claims: tokens.claims(), userinfo, introspected };
  },

  // Asks for single claims, in the ID Token and in UserInfo.
  async claims() {
    const config = await registered();
    const wanted = { id_token: { preferred_username: { essential: true } }, userinfo: { email: null } };
    const tokens = await signIn(config, { scope: "openid", claims: JSON.stringify(wanted) });
    const userinfo = await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
    return { claims: tokens.claims(), userinfo };
  },

  // Introduces itself, reads what was understood, changes it, and takes its leave (RFC 7591, RFC 7592).
  async registration() {
    const config = await registered();
    const told = config.clientMetadata();
    const headers = { authorization: `Bearer ${told.registration_access_token}`, "content-type": "application/json" };
    const ask = (method, body) => fetch(told.registration_client_uri, { method, headers, body });
    const read = await (await ask("GET")).json();
    // What the server says of the registration itself is not sent back (RFC 7592, section 2.2).
    const { registration_access_token, registration_client_uri, client_secret, ...known } = read;
    const { client_id_issued_at, client_secret_expires_at, ...kept } = known;
    const changed = await ask("PUT", JSON.stringify({ ...kept, client_name: "Witness of another name" }));
    const after = await changed.json();
    const tokens = await signIn(config);
    const gone = await ask("DELETE");
    const dead = await errorOf(() => oidc.refreshTokenGrant(config, tokens.refresh_token));
    return { read: read.client_name, changed: after.client_name, gone: gone.status, dead };
  },

  // Asks in silence, asks anew, and asks for how old a sign-in may be.
  async prompts() {
    const config = await registered();
    const silent = { prompt: "none" };
    const stranger = await errorOf(() => signIn(config, silent));
    const first = await signIn(config);
    const met = { silent: [], again: [], fresh: [] };
    const quiet = await signIn(config, { ...silent, id_token_hint: first.id_token }, {}, met.silent);
    const again = await signIn(config, { prompt: "login" }, {}, met.again);
    await new Promise((done) => setTimeout(done, 2100));
    const fresh = await signIn(config, { max_age: "1" }, { maxAge: 1 }, met.fresh);
    const subjects = [first, quiet, again, fresh].map((tokens) => tokens.claims().sub);
    const times = [first, quiet, again, fresh].map((tokens) => tokens.claims().auth_time);
    return { stranger, met, subjects, times };
  },

  // Makes each mistake that openid-client can be made to make, and reads the refusal.
  async mistakes() {
    const config = await registered();
    const { client_id } = config.clientMetadata();
    const tokens = await signIn(config);
    const wrong = await oidc.discovery(new URL(issuer), client_id, "wrong", undefined, insecure);
    const spare = { pkceCodeVerifier: oidc.randomPKCECodeVerifier() };
    return {
      secret: await errorOf(() => oidc.refreshTokenGrant(wrong, tokens.refresh_token)),
      scope: await errorOf(() => oidc.refreshTokenGrant(config, tokens.refresh_token, { scope: "entitlements" })),
      verifier: await errorOf(() => signIn(config, {}, spare)),
      grant: await errorOf(() => oidc.genericGrantRequest(config, "password", { username: "a", password: "b" })),
      unregistered: await errorOf(() => oidc.clientCredentialsGrant(config)),
      bearer: await errorOf(() => oidc.fetchUserInfo(config, "coop_at_nothing", tokens.claims().sub)),
      denied: await errorOf(async () => {
        person["/oauth/consent"] = { decision: "deny" };
        await signIn(config, { prompt: "consent" });
      }),
    };
  },
};

console.log(JSON.stringify(await topics[topic](...choices)));
