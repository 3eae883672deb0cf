// A first program: two commands on one provider.
const { GolemNetwork } = require("@golem-sdk/golem-js");

const order = {
  demand: { workload: { imageTag: "kiln/simple_service:latest" } },
  market: { rentHours: 0.5, pricing: { model: "burn-rate", avgGlmPerHour: 1 } },
};

(async () => {
  const golem = new GolemNetwork();
  await golem.connect();
  try {
    const rental = await golem.oneOf({ order });
    const exe = await rental.getExeUnit();
    await exe.run("/golem/run/simple_service.py", ["--add", "14"]);
    const stats = await exe.run("/golem/run/simple_service.py", ["--stats"]);
    console.log(stats.stdout);
    await rental.stopAndFinalize();
  } finally {
    await golem.disconnect();
  }
})();
