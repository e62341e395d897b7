// What a function of Supabase uses of Deno, in Node.js: --import of this file comes before the function.
import { createServer } from "node:http";

globalThis.Deno = {
  env: { get: (name) => process.env[name] },
  serve(handler) {
    createServer(async (incoming, outgoing) => {
      if (incoming.method === "GET") return outgoing.writeHead(200).end("{}");
      const chunks = [];
      for await (const chunk of incoming) chunks.push(chunk);
      const { method, headers, url } = incoming;
      const request = new Request(`http://localhost${url}`, { method, headers, body: Buffer.concat(chunks) });
      const response = await handler(request);
      outgoing.writeHead(response.status, Object.fromEntries(response.headers)).end(await response.text());
    }).listen(Number(process.env.PORT), "127.0.0.1");
  },
};
