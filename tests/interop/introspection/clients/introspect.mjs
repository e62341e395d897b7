// Asks about tokens with openid-client, as a service in Node.js does.
//
//     node introspect.mjs <server> <API key> <token>...     prints the answers as JSON

import * as client from "openid-client";

const [server, key, ...tokens] = process.argv.slice(2);
const metadata = { issuer: server, introspection_endpoint: `${server}/api/auth/introspect` };
const withKey = (_server, _client, _body, headers) => headers.set("authorization", `Bearer ${key}`);
const config = new client.Configuration(metadata, "gateway", undefined, withKey);
// Only because the server of the test has no TLS.
client.allowInsecureRequests(config);

const answers = [];
for (const token of tokens) answers.push(await client.tokenIntrospection(config, token));
console.log(JSON.stringify(answers));
