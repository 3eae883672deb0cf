// What is on the market, and several rentals at a time.
const { PROGRAMS, assert, order, withNetwork } = require("./local_node.cjs");

/** The first so many offers for images, by the names of their providers. */
function scan(golem, count) {
  const spec = golem.market.buildScanSpecification({ workload: { engine: "vm", minCpuCores: 2 }, subnetTag: "public" });
  const offers = new Map();
  return new Promise((resolve, reject) => {
    const scan = golem.market.scan(spec).subscribe({
      next: (offer) => {
        offers.set(offer.provider.name, offer);
        if (offers.size === count) {
          scan.unsubscribe();
          resolve(offers);
        }
      },
      error: reject,
    });
  });
}

withNetwork(async (golem) => {
  const offers = await scan(golem, 3);
  for (const offer of offers.values()) {
    assert.deepEqual([offer.runtimeName, offer.cpuCores, offer.memoryGib], ["vm", 2, 4]);
    assert.ok(offer.getEstimatedCost(1) > 0, offer.pricing);
  }
  console.log("offers:", ...[...offers.keys()].sort());

  const pool = await golem.manyOf({ poolSize: { min: 2, max: 3 }, order });
  await pool.ready();
  const work = async (rental) => {
    const exe = await rental.getExeUnit();
    assert.equal((await exe.run(`${PROGRAMS}/simple_service.py`, ["--help"])).result, "Ok");
    return rental.agreement.provider.name;
  };
  const providers = await Promise.all([1, 2].map(() => pool.withRental(work)));
  assert.equal(new Set(providers).size, 2, providers);
  // Those that were there before are used again.
  const again = await pool.withRental(work);
  assert.ok(providers.includes(again), `${again}: ${providers}`);
  await pool.drainAndClear();
  console.log("two rentals at a time, and one again");
});
