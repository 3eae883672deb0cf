//! What a policy in another program is told.

use super::Turn;
use crate::metrics::{Encode, JsonLines};
use crate::number::Number;

impl Turn<'_> {
    /// The state of services, servers and users as a line of JSON: what a policy in another program decides by.
    ///
    /// In the first step it also says what does not change: the sizes of layers, the layers of images, the applications,
    /// and what servers have.
    pub fn state(&self) -> String {
        let mut out = <JsonLines as crate::metrics::Format>::Encoder::default();
        let first = self.step() == 1;
        out.begin_map(if first { 7 } else { 4 });
        out.key("step");
        out.whole(i64::from(self.step()));
        if first {
            self.write_fixed(&mut out);
        }
        self.write_services(&mut out);
        self.write_servers(first, &mut out);
        self.write_users(&mut out);
        out.end_map();
        out.into_text()
    }

    fn write_fixed(&self, out: &mut impl Encode) {
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

    fn write_services(&self, out: &mut impl Encode) {
        out.key("services");
        out.begin_list(self.services.len());
        for service in self.services.iter() {
            out.item();
            out.begin_map(9);
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
            out.end_map();
        }
        out.end_list();
    }

    fn write_servers(&self, first: bool, out: &mut impl Encode) {
        out.key("servers");
        out.begin_list(self.servers.len());
        for server in self.servers.iter() {
            out.item();
            out.begin_map(if first { 10 } else { 6 });
            out.key("id");
            out.whole(server.id);
            if first {
                out.key("base_station");
                out.whole(self.stations[server.station].id);
                for (name, amount) in [
                    ("cpu", server.cpu),
                    ("memory", server.memory),
                    ("disk", server.disk),
                ] {
                    out.key(name);
                    out.number(amount);
                }
            }
            out.key("active");
            out.flag(server.active);
            for (name, amount) in [
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
                // An infinity is no JSON everywhere: an application that cannot be used has no delay.
                out.maybe(delay.filter(|delay| delay.value().is_finite()));
            }
            out.end_map();
            out.end_map();
        }
        out.end_list();
    }
}
