// What is on the market, and several rentals at a time.
const { PROGRAMS, assert, order, withNetwork } = require("./local_node.cjs");

withNetwork(async (golem) => {
  const offers = await new Promise((resolve, reject) => {
    const seen = new Set();
    const spec = golem.market.buildScanSpecification({ workload: { engine: "vm" }, subnetTag: "public" });
    const scan = golem.market.scan(spec).subscribe({
      next: (offer) => {
        seen.add(offer.provider.name);
        if (seen.size === 3) {
          scan.unsubscribe();
          resolve(seen);
        }
      },
      error: reject,
    });
  });
  assert.deepEqual([...offers].sort(), ["local-1", "local-2", "local-3"]);

  const pool = await golem.manyOf({ poolSize: { min: 2, max: 3 }, order });
  const work = async (rental) => {
    const exe = await rental.getExeUnit();
    assert.equal((await exe.run(`${PROGRAMS}/simple_service.py`, ["--help"])).result, "Ok");
    return rental.agreement.provider.name;
  };
  const providers = await Promise.all([1, 2].map(() => pool.withRental(work)));
  assert.equal(new Set(providers).size, 2, providers);
  await pool.drainAndClear();
});
