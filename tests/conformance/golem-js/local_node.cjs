// What the programs here have in common: an order for the simple service's image, and a network that is left in order.
const assert = require("node:assert/strict");
const { GolemNetwork } = require("@golem-sdk/golem-js");

const PROGRAMS = "/golem/run";
const order = {
  demand: { workload: { imageTag: "kiln/simple_service:latest", minMemGib: 0.5, minStorageGib: 2 } },
  market: { rentHours: 0.5, pricing: { model: "burn-rate", avgGlmPerHour: 1 } },
};

/** Runs `program` on a network; the process fails if it does. */
async function withNetwork(program) {
  const golem = new GolemNetwork();
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

module.exports = { PROGRAMS, assert, order, withNetwork };
