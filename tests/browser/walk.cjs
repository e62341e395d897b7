// Walks through the pages of the server in a real browser, and fails where a user would be stuck: `documents.cjs` as an app
// developer, `console.cjs` as staff.
//
// usage: NODE_PATH=<where playwright-core and axe-core are> node tests/browser/walk.cjs <server binary> [folder for screenshots]
// Needs Debian's `chromium`. Every walk starts a server of its own, in a new folder.
"use strict";

const path = require("node:path");
const { launch } = require("./server.cjs");

const WALKS = ["documents", "console"];

async function main() {
  const [binary, screenshots] = process.argv.slice(2).map((name) => path.resolve(name));
  const browser = await launch();
  try {
    for (const name of WALKS) {
      const began = Date.now();
      const passed = await require(`./${name}.cjs`)(browser, binary, screenshots);
      console.log(`browser walk ${name}: ${passed} passed, 0 failed, ${Math.round((Date.now() - began) / 1000)} s`);
    }
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
