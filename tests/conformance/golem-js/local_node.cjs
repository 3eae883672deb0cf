// What the programs here have in common: an order for an image, a network that is left in order, and what they wait for.
const assert = require("node:assert/strict");
const net = require("node:net");
const { once } = require("node:events");
const { setTimeout } = require("node:timers/promises");
const { GolemNetwork } = require("@golem-sdk/golem-js");

const PROGRAMS = "/golem/run";
const order = orderOf({ imageTag: "kiln/simple_service:latest" });

/** An order for an image, or for whatever else is asked for. */
function orderOf(workload) {
  return {
    demand: { workload: { minMemGib: 0.5, minStorageGib: 2, ...workload } },
    market: { rentHours: 0.5, pricing: { model: "burn-rate", avgGlmPerHour: 1 } },
  };
}

/** Runs `program` on a network; the process fails if it does. Files travel as an argument says, or as is usual. */
async function withNetwork(program) {
  const golem = new GolemNetwork({ dataTransferProtocol: process.argv[2] ?? "ws" });
  try {
    await golem.connect();
    await program(golem);
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  } finally {
    await golem.disconnect();
  }
}

/** What the node answers to GET. */
async function get(path) {
  const headers = { Authorization: `Bearer ${process.env.YAGNA_APPKEY}` };
  const response = await fetch(process.env.YAGNA_API_URL + path, { headers });
  assert.equal(response.status, 200, path);
  return response.json();
}

/** A port of this machine where nobody listens. */
async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Waits until a condition holds. */
async function until(condition) {
  const deadline = Date.now() + 60_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `not in time: ${condition}`);
    await setTimeout(50);
  }
}

module.exports = { PROGRAMS, assert, freePort, get, order, orderOf, until, withNetwork };
