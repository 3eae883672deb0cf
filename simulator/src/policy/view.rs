//! What a policy in another program is told.

use super::Turn;
use crate::arena::LinkId;
use crate::metrics::{Encode, JsonLines};
use crate::number::Number;
use crate::service::Migration;

impl Turn<'_> {
    /// The state of services, servers, registries and users as a line of JSON: what a policy in another program decides
    /// by. Infinities stand as the bare word that Python reads.
    ///
    /// In the first step it also has the network, the sizes of layers, the layers of images, and the applications; later,
    /// the links that were set in the step before.
    pub fn state(&self) -> String {
        let mut out = <JsonLines as crate::metrics::Format>::Encoder::default();
        let first = self.step() == 1;
        let changed = |link: &LinkId| first || self.links.touched(*link) + 1 == self.step();
        let links: Vec<LinkId> = self.links.places().filter(changed).collect();
        out.begin_map(5 + if first { 4 } else { 0 } + usize::from(!links.is_empty()));
        out.key("step");
        out.whole(i64::from(self.step()));
        if first {
            self.write_fixed(&mut out);
        }
        if !links.is_empty() {
            self.write_links(&links, &mut out);
        }
        self.write_services(&mut out);
        self.write_servers(&mut out);
        self.write_registries(&mut out);
        self.write_users(&mut out);
        out.end_map();
        out.into_text()
    }

    fn write_fixed(&self, out: &mut impl Encode) {
        self.write_stations(out);
        out.key("layers");
        let mut layers: Vec<(&str, Number)> = (self.layers.entries())
            .filter(|(place, layer)| self.layer(layer.digest) == Some(*place))
            .map(|(_, layer)| (self.symbols.text(layer.digest), layer.size))
            .collect();
        layers.sort_by_key(|(digest, _)| *digest);
        out.begin_map(layers.len());
        for (digest, size) in layers {
            out.key(digest);
            out.number(size);
        }
        out.end_map();
        out.key("images");
        let images = || {
            (self.images.entries())
                .filter(|(place, image)| self.image(image.digest) == Some(*place))
        };
        out.begin_map(images().count());
        for (_, image) in images() {
            out.key(self.symbols.text(image.digest));
            out.texts(image.layers.iter().map(|digest| self.symbols.text(*digest)));
        }
        out.end_map();
        out.key("applications");
        out.begin_list(self.applications.len());
        for application in self.applications.iter() {
            out.item();
            out.begin_map(3);
            out.key("id");
            out.whole(application.id);
            out.key("services");
            let services = application.services.iter();
            out.wholes(services.map(|place| self.services[*place].id));
            out.key("users");
            out.wholes((application.users.iter()).map(|place| self.users[*place].id));
            out.end_map();
        }
        out.end_list();
    }

    fn write_stations(&self, out: &mut impl Encode) {
        out.key("base_stations");
        out.begin_list(self.stations.len());
        for station in self.stations.iter() {
            out.item();
            out.begin_map(3);
            out.key("id");
            out.whole(station.id);
            out.key("switch");
            out.whole(self.switches[station.switch].id);
            out.key("wireless_delay");
            out.number(station.wireless_delay);
            out.end_map();
        }
        out.end_list();
    }

    fn write_links(&self, links: &[LinkId], out: &mut impl Encode) {
        out.key("links");
        out.begin_list(links.len());
        for link in links {
            let link = &self.links[*link];
            out.item();
            out.begin_map(4);
            out.key("id");
            out.whole(link.id);
            out.key("switches");
            out.wholes(link.nodes.iter().map(|place| self.switches[*place].id));
            out.key("bandwidth");
            out.number(link.bandwidth);
            out.key("delay");
            out.number(link.delay);
            out.end_map();
        }
        out.end_list();
    }

    fn write_registries(&self, out: &mut impl Encode) {
        let there = || self.registries.iter().filter(|registry| !registry.removed);
        out.key("registries");
        out.begin_list(there().count());
        for registry in there() {
            out.item();
            out.begin_map(3);
            out.key("id");
            out.whole(registry.id);
            out.key("server");
            out.maybe((registry.server).map(|place| Number::Int(self.servers[place].id)));
            out.key("available");
            out.flag(registry.available);
            out.end_map();
        }
        out.end_list();
    }

    fn write_migration(&self, migration: Option<&Migration>, out: &mut impl Encode) {
        out.key("migration");
        let Some(migration) = migration else {
            out.null();
            return;
        };
        out.begin_map(4);
        out.key("status");
        out.text(migration.status.name());
        out.key("target");
        out.whole(self.servers[migration.target].id);
        out.key("start");
        out.whole(i64::from(migration.start));
        out.key("end");
        out.maybe((migration.end).map(|end| Number::Int(i64::from(end))));
        out.end_map();
    }

    fn write_services(&self, out: &mut impl Encode) {
        out.key("services");
        out.begin_list(self.services.len());
        for service in self.services.iter() {
            out.item();
            out.begin_map(10);
            out.key("id");
            out.whole(service.id);
            out.key("application");
            out.whole(self.applications[service.application].id);
            out.key("server");
            out.maybe((service.server).map(|place| Number::Int(self.servers[place].id)));
            out.key("being_provisioned");
            out.flag(service.being_provisioned);
            out.key("available");
            out.flag(service.available);
            out.key("image");
            out.text(self.symbols.text(service.image));
            for (name, amount) in [
                ("state", service.state),
                ("cpu_demand", service.cpu_demand),
                ("memory_demand", service.memory_demand),
            ] {
                out.key(name);
                out.number(amount);
            }
            self.write_migration(service.migrations.last(), out);
            out.end_map();
        }
        out.end_list();
    }

    fn write_servers(&self, out: &mut impl Encode) {
        out.key("servers");
        out.begin_list(self.servers.len());
        for server in self.servers.iter() {
            out.item();
            out.begin_map(10);
            out.key("id");
            out.whole(server.id);
            out.key("base_station");
            out.whole(self.stations[server.station].id);
            out.key("active");
            out.flag(server.active);
            // Told again and again: a policy can set them.
            for (name, amount) in [
                ("cpu", server.cpu),
                ("memory", server.memory),
                ("disk", server.disk),
                ("cpu_demand", server.cpu_demand),
                ("memory_demand", server.memory_demand),
                ("disk_demand", server.disk_demand),
            ] {
                out.key(name);
                out.number(amount);
            }
            out.key("layers");
            out.texts((server.digests.iter()).map(|digest| self.symbols.text(*digest)));
            out.end_map();
        }
        out.end_list();
    }

    fn write_users(&self, out: &mut impl Encode) {
        out.key("users");
        out.begin_list(self.users.len());
        for user in self.users.iter() {
            out.item();
            out.begin_map(3);
            out.key("id");
            out.whole(user.id);
            out.key("base_station");
            out.maybe((user.station).map(|place| Number::Int(self.stations[place].id)));
            out.key("delays");
            out.begin_map(user.delays.len());
            for (key, delay) in &user.delays {
                out.key(self.symbols.text(*key));
                out.maybe(*delay);
            }
            out.end_map();
            out.end_map();
        }
        out.end_list();
    }
}
