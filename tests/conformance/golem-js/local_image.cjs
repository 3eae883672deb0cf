// An image that is in no registry: a file of this machine, which the library itself serves to the provider, as it does
// with other files. With the argument `gftp` it has the program of that name do so.
const fs = require("node:fs");
const path = require("node:path");
const { PROGRAMS, assert, get, orderOf, withNetwork } = require("./local_node.cjs");

withNetwork(async (golem) => {
  const rental = await golem.oneOf({ order: orderOf({ imageUrl: `file://${process.env.IMAGE}` }) });
  const exe = await rental.getExeUnit();
  const help = await exe.run(`${PROGRAMS}/simple_service.py`, ["--help"]);
  assert.match(help.stdout, /--stats/);
  const { demand } = await get(`/market-api/v1/agreements/${rental.agreement.id}`);
  const image = demand.properties["golem.srv.comp.task_package"];
  assert.match(image, /^hash:sha3:[0-9a-f]+:gftp:\/\/0x[0-9a-f]{40}\/[0-9a-f-]+$/);

  const received = path.join(__dirname, "received");
  await exe.uploadFile(__filename, "/golem/in/program");
  await exe.downloadFile("/golem/in/program", received);
  assert.ok(fs.readFileSync(__filename).equals(fs.readFileSync(received)));
  console.log("runs in an image from", image.match(/[a-z]+(?=:\/\/)/)[0]);
  await rental.stopAndFinalize();
});
