// Finds an issuer as a service with openid-client does, and checks an access token with the keys that the document leads to.
//
// usage: ISSUER=… TOKEN=… node discover.mjs
// Prints the claims as JSON; exits with 1 and says why if the token is not valid.

import { createRemoteJWKSet, jwtVerify } from "jose";
import * as client from "openid-client";

const { ISSUER, TOKEN } = process.env;

const found = await client.discovery(new URL(ISSUER), "a-service", undefined, client.None(), {
  // The server of the test has no certificate.
  execute: [client.allowInsecureRequests],
});
const issuer = found.serverMetadata();
const keys = createRemoteJWKSet(new URL(issuer.jwks_uri));
try {
  const { payload } = await jwtVerify(TOKEN, keys, {
    issuer: issuer.issuer,
    algorithms: issuer.id_token_signing_alg_values_supported,
    requiredClaims: ["sub", "exp"],
  });
  if (payload.token_type !== "access") throw new Error("not an access token");
  console.log(JSON.stringify(payload));
} catch (refused) {
  console.error(`${refused.code ?? refused.name}: ${refused.message}`);
  process.exitCode = 1;
}
