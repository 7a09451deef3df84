// A relying party that nobody here wrote: openid-client, certified by the OpenID Foundation, with a scripted browser.
// Prints what it learnt as JSON; whatever it finds wrong with the provider makes it fail.
import * as oidc from "openid-client";

const [issuer, handle, password] = process.argv.slice(2);
const insecure = { execute: [oidc.allowInsecureRequests] }; // plain http, since the test is on loopback
const callback = "https://witness.example/callback";
const goodbye = "https://witness.example/bye";
const cookies = new Map();

async function load(url, form) {
  const headers = { accept: "text/html", cookie: [...cookies].map((pair) => pair.join("=")).join("; ") };
  const request = form ? { method: "POST", body: new URLSearchParams(form), headers } : { headers };
  const answer = await fetch(url, { ...request, redirect: "manual" });
  for (const line of answer.headers.getSetCookie()) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
    cookies.set(name, value);
  }
  return answer;
}

// Follows redirects and fills in forms, until the browser leaves the provider.
async function browse(start, answers) {
  let url = new URL(start, issuer);
  let form;
  for (let steps = 0; steps < 12; steps += 1) {
    const answer = await load(url, form);
    form = undefined;
    const location = answer.headers.get("location");
    if (location) {
      url = new URL(location, url);
      if (url.origin !== issuer) return url;
      continue;
    }
    const page = await answer.text();
    const action = Object.keys(answers).find((path) => page.includes(`action="${path}"`));
    if (!action) throw new Error(`stuck at ${url} with status ${answer.status}`);
    form = { ...fields(page, action), ...answers[action] };
    url = new URL(action, issuer);
  }
  throw new Error("the provider leads in circles");
}

function fields(page, action) {
  const inside = page.slice(page.indexOf(`action="${action}"`)).split("</form>")[0];
  const found = {};
  for (const [tag] of inside.matchAll(/<input[^>]*>/g)) {
    const of = (name) => new RegExp(` ${name}="([^"]*)"`).exec(tag)?.[1].replaceAll("&amp;", "&");
    if (/type="(radio|checkbox)"/.test(tag) && !/ checked/.test(tag)) continue;
    if (of("name")) found[of("name")] = of("value") ?? "";
  }
  return found;
}

const config = await oidc.dynamicClientRegistration(
  new URL(issuer),
  {
    client_name: "Witness",
    redirect_uris: [callback],
    post_logout_redirect_uris: [goodbye],
    grant_types: ["authorization_code", "refresh_token", "client_credentials"],
    token_endpoint_auth_method: "client_secret_post",
    id_token_signed_response_alg: process.argv[5] ?? "ES256",
  },
  undefined,
  insecure,
);

const pkceCodeVerifier = oidc.randomPKCECodeVerifier();
const expectedState = oidc.randomState();
const expectedNonce = oidc.randomNonce();
const landed = await browse(
  oidc.buildAuthorizationUrl(config, {
    redirect_uri: callback,
    scope: "openid profile email offline_access",
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
    state: expectedState,
    nonce: expectedNonce,
    max_age: "600",
  }),
  { "/sign-in": { name: handle, password }, "/oauth/consent": { decision: "allow", email: "yes" } },
);
const checks = { pkceCodeVerifier, expectedState, expectedNonce, maxAge: 600, idTokenExpected: true };
const tokens = await oidc.authorizationCodeGrant(config, landed, checks);
const claims = tokens.claims();
const userinfo = await oidc.fetchUserInfo(config, tokens.access_token, claims.sub);
const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token);
const introspected = await oidc.tokenIntrospection(config, refreshed.access_token);
const own = await oidc.clientCredentialsGrant(config, { scope: "entitlements" });
await oidc.tokenRevocation(config, refreshed.refresh_token);
const afterwards = await oidc.tokenIntrospection(config, refreshed.access_token);
const bye = await browse(
  oidc.buildEndSessionUrl(config, {
    id_token_hint: tokens.id_token,
    post_logout_redirect_uri: goodbye,
    state: "s",
  }),
  { "/oauth/sign-out": { decision: "sign-out" } },
);

console.log(
  JSON.stringify({
    claims,
    userinfo,
    refreshed: { scope: refreshed.scope, sub: refreshed.claims().sub },
    introspected,
    own: own.scope,
    afterwards,
    bye: bye.href,
  }),
);
