// The service itself: opportunities, kept in memory. It handles no passwords and does not authenticate users; that is
// in the access token. `verify(token)` comes from with-secret.mjs or with-jwks.mjs.
//
// Settings: PORT (3000), HOST (127.0.0.1), AUTH_URL (http://localhost:8000): where loopin-auth is.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";

const MAX_BODY_BYTES = 64 * 1024;
const AUTH_URL = process.env.AUTH_URL ?? "http://localhost:8000";

/** An answer that is not 2xx. 401 sends an app to its refresh token, so it is for tokens only. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** What a library's check of signature and time leaves open. The same for both services. */
export function accessClaims(claims) {
  // A refresh token has a good signature too.
  if (claims.token_type !== "access") throw new Refused(401, "Invalid token");
  // jsonwebtoken takes a token without an end.
  if (typeof claims.exp !== "number") throw new Refused(401, "Invalid token");
  if (typeof claims.user_id !== "string" || claims.user_id === "") throw new Refused(401, "Invalid token");
  return claims;
}

function bearer(request) {
  const [scheme, token, ...rest] = (request.headers.authorization ?? "").split(" ");
  if (scheme.toLowerCase() !== "bearer" || !token || rest.length > 0) throw new Refused(401, "User not authenticated");
  return token;
}

// A token is valid until its `exp`, even if its session has ended. Check the session before an operation that must not be
// done with a stolen token.
async function sessionLives(token) {
  const profile = await fetch(`${AUTH_URL}/api/auth/profile`, { headers: { authorization: `Bearer ${token}` } }).catch(() => null);
  if (profile?.status === 401) throw new Refused(401, "Session has ended");
  if (!profile?.ok) throw new Refused(503, "Sign-in cannot be checked at the moment");
}

async function json(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    // Read to its end, so that the answer reaches who sends it, and not kept.
    if (size <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  if (size > MAX_BODY_BYTES) throw new Refused(413, "Body too large");
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new Refused(400, "Body is not JSON");
  }
}

function opportunity(body, createdBy) {
  for (const field of ["title", "description", "category"]) {
    if (typeof body?.[field] !== "string" || body[field].trim() === "") throw new Refused(422, `${field} is missing`);
  }
  const { title, description, category } = body;
  // `createdBy` is from the token, whatever the body says.
  return { id: randomUUID(), title, description, category, createdBy, createdAt: new Date().toISOString() };
}

async function answer(request, verify, opportunities) {
  const path = new URL(request.url, "http://localhost").pathname.replace(/\/+$/, "");
  if (path === "/health") return [200, { status: "healthy" }];
  const match = /^\/api\/v1\/opportunities(?:\/([^/]+))?$/.exec(path);
  if (!match) throw new Refused(404, "Not found");
  const token = bearer(request);
  const claims = accessClaims(await verify(token));
  const [, id] = match;
  if (request.method === "GET" && !id) return [200, { opportunities: [...opportunities.values()] }];
  if (request.method === "POST" && !id) {
    const made = opportunity(await json(request), claims.user_id);
    opportunities.set(made.id, made);
    return [201, made];
  }
  if (request.method === "DELETE" && id) {
    await sessionLives(token);
    if (opportunities.get(id)?.createdBy !== claims.user_id) throw new Refused(404, "Not found");
    opportunities.delete(id);
    return [200, { deleted: id }];
  }
  throw new Refused(405, "Method not allowed");
}

export function serve(verify) {
  const opportunities = new Map();
  const server = createServer(async (request, response) => {
    let status, body;
    try {
      [status, body] = await answer(request, verify, opportunities);
    } catch (error) {
      if (!(error instanceof Refused)) console.error(error);
      status = error instanceof Refused ? error.status : 500;
      body = { error: error instanceof Refused ? error.message : "Internal error" };
    }
    response.writeHead(status, {
      "content-type": "application/json",
      ...(status === 401 && { "www-authenticate": "Bearer" }),
    });
    response.end(JSON.stringify(body));
  });
  const port = Number(process.env.PORT ?? 3000);
  server.listen(port, process.env.HOST ?? "127.0.0.1", () => console.log(`opportunities on port ${port}`));
}
