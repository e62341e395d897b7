// Checks tokens with the shared secret (JWT_ALGORITHM=HS256) and `jsonwebtoken`.
//
// Settings: JWT_SECRET, the JWT_SECRET_KEY of loopin-auth to the letter; JWT_PREVIOUS_SECRET while the secret is being
// changed; JWT_ISSUER and JWT_AUDIENCE where loopin-auth has them; those of service.mjs.
//
// A service that has the secret can make tokens for any user. For more than a few services of your own, use with-jwks.mjs.
import jwt from "jsonwebtoken";

import { Refused, serve } from "./service.mjs";

const { JWT_SECRET, JWT_PREVIOUS_SECRET, JWT_ISSUER, JWT_AUDIENCE } = process.env;
if (!JWT_SECRET) throw new Error("JWT_SECRET is not set: it is the JWT_SECRET_KEY of loopin-auth");
const secrets = [JWT_SECRET, JWT_PREVIOUS_SECRET].filter(Boolean);

// One algorithm, named here: never the one that a token names.
const options = {
  algorithms: ["HS256"],
  issuer: JWT_ISSUER || undefined,
  audience: JWT_AUDIENCE || undefined,
  clockTolerance: 5, // Seconds that clocks may differ.
};

function verify(token) {
  let expired = false;
  for (const secret of secrets) {
    try {
      return jwt.verify(token, secret, options);
    } catch (error) {
      expired ||= error instanceof jwt.TokenExpiredError;
    }
  }
  throw new Refused(401, expired ? "Token expired" : "Invalid token");
}

serve(verify);
