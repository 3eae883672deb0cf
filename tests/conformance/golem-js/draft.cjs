// Rentals that are given up while there is no more than a draft: the providers here never answer a proposal. Once the
// caller gives up, and once the network is left; neither leaves a demand, an agreement or money that is set aside.
const { isDeepStrictEqual } = require("node:util");
const { assert, get, order, until, withNetwork } = require("./local_node.cjs");

/** How much of rentals is on the node. */
async function left() {
  const [demands, agreements, allocations] = await Promise.all(
    ["/market-api/v1/demands", "/market-api/v1/agreements", "/payment-api/v1/allocations"].map(get),
  );
  return { demands: demands.length, agreements: agreements.length, allocations: allocations.length };
}

/** Waits until nothing is: the library does not wait for its last requests. */
async function nothingIsLeft() {
  await until(async () => isDeepStrictEqual(await left(), { demands: 0, agreements: 0, allocations: 0 }));
}

/** Begins a rental; the first proposal of it that nobody will answer. */
function begin(golem, signalOrTimeout) {
  const drafted = new Promise((resolve) => golem.market.events.once("offerCounterProposalSent", resolve));
  const rental = golem.oneOf({ order, signalOrTimeout });
  const refused = rental.then(
    () => assert.fail("nobody answers"),
    (error) => error,
  );
  return { drafted, refused };
}

withNetwork(async (golem) => {
  const caller = new AbortController();
  const given = begin(golem, caller.signal);
  await given.drafted;
  assert.deepEqual(await left(), { demands: 1, agreements: 0, allocations: 1 });
  caller.abort("no more");
  console.log("given up:", (await given.refused).constructor.name);
  await nothingIsLeft();

  const second = begin(golem);
  await second.drafted;
  assert.deepEqual(await left(), { demands: 1, agreements: 0, allocations: 1 });
  await golem.disconnect();
  console.log("left:", (await second.refused).constructor.name);
  await nothingIsLeft();
});
