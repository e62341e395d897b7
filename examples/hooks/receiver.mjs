// Answers the hook before sending: whether loopin-auth may send a code. Needs Node.js 20, and once: npm install
//
//     BEFORE_SEND_SECRET=whsec_... PORT=8080 node receiver.mjs

import { createServer } from "node:http";

import { Webhook } from "standardwebhooks";

const words = (text) => (text ?? "").split(/\s+/).filter(Boolean);

// Two while one replaces the other, separated by a space.
const WEBHOOKS = words(process.env.BEFORE_SEND_SECRET).map((secret) => new Webhook(secret));
const DENIED = new Set(words(process.env.DENIED_PHONES));

const MOST_BYTES = 64 * 1024;

if (WEBHOOKS.length === 0) throw new Error("BEFORE_SEND_SECRET must be set");

/** The question, if one of our secrets signed it within five minutes of now. */
function verified(headers, body) {
  for (const webhook of WEBHOOKS) {
    try {
      return webhook.verify(body, headers);
    } catch {
      // The next secret may be the right one.
    }
  }
  return null;
}

/** Put your own rule here: ask your risk or SIM-swap provider. All of it has one second. */
function decide(question) {
  return DENIED.has(question.phone_number) ? "deny" : "allow";
}

async function read(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > MOST_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function answer(response, status, content) {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(content));
}

createServer(async (request, response) => {
  try {
    if (request.method === "GET") return answer(response, 200, { status: "healthy" });
    const body = await read(request);
    if (body === null) return answer(response, 413, { error: "too long" });
    const question = verified(request.headers, body);
    if (question === null) return answer(response, 401, { error: "no valid signature" });
    answer(response, 200, { decision: decide(question) });
  } catch {
    if (!response.headersSent) answer(response, 500, { error: "internal" });
  }
}).listen(Number(process.env.PORT ?? 8080), "127.0.0.1");
