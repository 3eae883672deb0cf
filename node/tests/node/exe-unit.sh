#!/bin/sh
# Stands where an exe-unit would: says that it was started, for which activity and as which process, and lives on.
# The test speaks for it on the bus. Before, a node asks what offers say of its runtime.
if [ "$3" = offer-template ]; then
    echo '{"properties": {"golem.runtime.limits": ["memory"]}, "constraints": ""}'
    exit
fi
echo "$4 $$" > ../../../started
exec /bin/sleep 1000
