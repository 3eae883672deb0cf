#!/bin/sh
# Stands where an exe-unit would: says that it was started, for which activity and as which process, and lives on.
# The test speaks for it on the bus.
echo "$4 $$" > ../../../started
exec /bin/sleep 1000
