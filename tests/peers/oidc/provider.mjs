// An identity provider (OpenID Connect) for tests: people log in by name alone, on the provider's own development pages.
// Their claims are those of PEOPLE. It ends when standard input does.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const [redirect, loggedOut] = process.argv.slice(2);
const PEOPLE = {
  ada: { preferred_username: "Ada", realm_access: { roles: ["imaging-admins", "imaging-readers"] } },
  vera: { preferred_username: "vera", realm_access: { roles: ["imaging-readers"] } },
  nobody: { preferred_username: "nobody", realm_access: { roles: ["canteen"] } },
};
const server = createServer();
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
const client = (id, more) => ({
  client_id: id,
  client_secret: `${id}-secret-of-32-characters-and-more`,
  redirect_uris: [redirect],
  post_logout_redirect_uris: [loggedOut],
  grant_types: ["authorization_code"],
  response_types: ["code"],
  ...more,
});
const provider = new Provider(issuer, {
  clients: [client("gateway"), client("other")],
  pkce: { required: () => true },
  conformIdTokenClaims: process.env.CLAIMS_OF_USERINFO === "1",
  claims: { openid: ["sub"], profile: ["preferred_username", "realm_access"] },
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: `sub-${id}`, ...PEOPLE[id] }) }),
  cookies: { keys: ["a key of the tests"] },
  features: { rpInitiatedLogout: { enabled: true } },
});
server.on("request", provider.callback());
console.log(`listening on ${issuer}`);
process.stdin.on("end", () => process.exit()).resume();
