// Finds every kind of page of the console by its links, and looks at each at two widths, light and dark: axe-core finds nothing, nothing
// is wider than the screen, and pictures are taken if a folder is given.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");

const AXE = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
// Colours do not depend on the width, so each width is checked with one scheme. Pictures are taken of all four.
const LOOKS = [
  { width: 1280, colorScheme: "light", isChecked: true },
  { width: 360, colorScheme: "dark", isChecked: true },
  { width: 1280, colorScheme: "dark" },
  { width: 360, colorScheme: "light" },
];

// A path without what differs between pages of one kind: ids, numbers, and the values of the query.
function kind(url) {
  const { pathname, searchParams } = new URL(url);
  const route = pathname
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "id")
    .replace(/%2B\d+|\+\d+/gi, "phone")
    .replace(/\/\d+(?=\/|$)/g, "/number");
  return [route, ...new Set([...searchParams.keys()].sort())].join(" ");
}

// The addresses of all kinds of pages below /admin that links lead to. Links do not change anything, so all can be followed.
async function pages(page, base, starts) {
  const found = new Map();
  const left = starts.map((start) => `${base}${start}`);
  while (left.length > 0) {
    const url = left.shift();
    if (found.has(kind(url))) continue;
    const answer = await page.goto(url);
    const type = answer.headers()["content-type"] ?? "";
    if (!type.startsWith("text/html")) continue;
    assert.ok(answer.status() < 400, `${url} is linked, and answers ${answer.status()}`);
    found.set(kind(url), url);
    const links = await page.locator("a[href]").evaluateAll((all) => all.map((link) => link.href));
    for (const link of links) {
      const [address] = link.split("#");
      if (new URL(address).pathname.startsWith("/admin") && address.startsWith(base)) left.push(address);
    }
  }
  return [...found.values()];
}

async function violations(page) {
  await page.evaluate(AXE);
  const result = await page.evaluate((tags) => window.axe.run(document, { runOnly: tags }), TAGS);
  return result.violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html).slice(0, 3).join(" ")}`);
}

// Looks at the page that is open. Returns what is wrong.
async function look(page, name, screenshots) {
  const wrong = [];
  for (const { width, colorScheme, isChecked } of LOOKS.filter((it) => it.isChecked || screenshots)) {
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme });
    const title = `${name}-${width}-${colorScheme}`;
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > width) wrong.push(`${title}: it is ${wide} wide`);
    if (isChecked) wrong.push(...(await violations(page)).map((violation) => `${title}: ${violation}`));
    if (screenshots) {
      await page.screenshot({ path: path.join(screenshots, `${title}.png`), fullPage: true });
    }
  }
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.emulateMedia({ colorScheme: "light" });
  return wrong;
}

// The name of a picture of this address.
function fileName(url) {
  return kind(url).replace(/^\/admin/, "console").replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "");
}

module.exports = { fileName, kind, look, pages };
