// Checks tokens with the public keys of loopin-auth (JWT_ALGORITHM=EdDSA, ES256 or RS256) and `jose`. No secret here: this
// service can check tokens and make none.
//
// Settings: JWKS_URL (http://localhost:8000/.well-known/jwks.json); JWT_ALGORITHM (EdDSA); JWT_ISSUER and JWT_AUDIENCE
// where loopin-auth has them; those of service.mjs.
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

import { Refused, serve } from "./service.mjs";

const { JWKS_URL, JWT_ALGORITHM, JWT_ISSUER, JWT_AUDIENCE } = process.env;

// Cached for five minutes. An unknown `kid` fetches them again, at most every 30 seconds.
const keys = createRemoteJWKSet(new URL(JWKS_URL || "http://localhost:8000/.well-known/jwks.json"), {
  cacheMaxAge: 5 * 60 * 1000,
});
const options = {
  // One algorithm, named here: never the one that a token names.
  algorithms: [JWT_ALGORITHM || "EdDSA"],
  issuer: JWT_ISSUER || undefined,
  audience: JWT_AUDIENCE || undefined,
  requiredClaims: ["exp", "user_id", "token_type"],
  clockTolerance: 5, // Seconds that clocks may differ.
};

const TOKEN_ERRORS = [
  errors.JWTClaimValidationFailed,
  errors.JWTInvalid,
  errors.JWSInvalid,
  errors.JWSSignatureVerificationFailed,
  errors.JOSEAlgNotAllowed,
  errors.JOSENotSupported,
  errors.JWKSNoMatchingKey,
  errors.JWKSMultipleMatchingKeys,
];

async function verify(token) {
  try {
    return (await jwtVerify(token, keys, options)).payload;
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw new Refused(401, "Token expired");
    if (TOKEN_ERRORS.some((kind) => error instanceof kind)) throw new Refused(401, "Invalid token");
    // The keys could not be had. That is nothing that a new token would mend, so no 401.
    throw new Refused(503, "Sign-in cannot be checked at the moment");
  }
}

serve(verify);
