//! The dataset, written class by class.

use std::fmt::Write;

use super::{Image, Network, User};

/// Writes a dataset class by class.
#[derive(Default)]
pub(super) struct Writer {
    json: String,
    objects: u32,
    pub(super) stations_later: Vec<(String, u32, String)>,
}

pub(super) fn reference(class: &str, id: u32) -> String {
    format!(r#"{{"class":"{class}","id":{id}}}"#)
}

pub(super) fn references(class: &str, ids: &[u32]) -> String {
    let all: Vec<String> = ids.iter().map(|id| reference(class, *id)).collect();
    format!("[{}]", all.join(","))
}

impl Writer {
    pub(super) fn class(&mut self, class: &str) {
        self.json
            .push_str(if self.json.is_empty() { "{" } else { "]," });
        write!(self.json, "\"{class}\":[").expect("a string takes all");
        self.objects = 0;
    }

    pub(super) fn object(&mut self, attributes: &str, relationships: &str) {
        let comma = if self.objects > 0 { "," } else { "" };
        self.objects += 1;
        write!(
            self.json,
            r#"{comma}{{"attributes":{{{attributes}}},"relationships":{{{relationships}}}}}"#
        )
        .expect("a string takes all");
    }

    pub(super) fn finish(mut self) -> String {
        self.json.push_str("]}");
        self.json
    }

    pub(super) fn users(&mut self, users: &[User], network: &Network) {
        let stations = std::mem::take(&mut self.stations_later);
        let mut here: Vec<Vec<u32>> = vec![Vec::new(); stations.len()];
        for (id, user) in (1..).zip(users) {
            here[user.start as usize - 1].push(id);
        }
        self.class("BaseStation");
        for (at, ((place, delay, servers), users)) in (1..).zip(stations.iter().zip(&here)) {
            self.object(
                &format!(r#""id":{at},"coordinates":{place},"wireless_delay":{delay}"#),
                &format!(
                    r#""users":{},"edge_servers":{servers},"network_switch":{}"#,
                    references("User", users),
                    reference("NetworkSwitch", at)
                ),
            );
        }
        self.class("User");
        for (id, user) in (1..).zip(users) {
            let trace: Vec<String> = user.trace.iter().map(|at| network.place(*at)).collect();
            let application = user.application;
            let id: u32 = id;
            self.object(
                &format!(
                    r#""id":{id},"coordinates":{},"coordinates_trace":[{}],"delays":{{"{application}":null}},"delay_slas":{{"{application}":45}},"communication_paths":{{}},"making_requests":{{"{application}":{{"1":true}}}}"#,
                    network.place(user.start),
                    trace.join(",")
                ),
                &format!(
                    r#""access_patterns":{{"{application}":{}}},"mobility_model":"pathway","applications":{},"base_station":{}"#,
                    reference("CircularDurationAndIntervalAccessPattern", id),
                    references("Application", &[application]),
                    reference("BaseStation", user.start)
                ),
            );
        }
    }

    pub(super) fn images(
        &mut self,
        layers: &[(String, u32)],
        images: &[Image],
        registries: &[u32],
    ) {
        self.class("ContainerLayer");
        let mut id = 0;
        for server in registries {
            for (digest, size) in std::iter::once(&("reg_a".to_owned(), 2)).chain(layers) {
                id += 1;
                self.object(
                    &format!(
                        r#""id":{id},"digest":"{digest}","size":{size},"instruction":"RUN {digest}""#
                    ),
                    &format!(r#""server":{}"#, reference("EdgeServer", *server)),
                );
            }
        }
        self.class("ContainerImage");
        let registry = Image {
            name: "registry".to_owned(),
            digest: "img_registry".to_owned(),
            layers: vec!["reg_a".to_owned()],
        };
        let mut id = 0;
        for (at, server) in registries.iter().enumerate() {
            let here = if at == 0 { images } else { &[] };
            for image in std::iter::once(&registry).chain(here) {
                id += 1;
                self.object(
                    &format!(
                        r#""id":{id},"name":"{}","tag":"","digest":"{}","layers_digests":["{}"],"architecture":"""#,
                        image.name,
                        image.digest,
                        image.layers.join(r#"",""#)
                    ),
                    &format!(r#""server":{}"#, reference("EdgeServer", *server)),
                );
            }
        }
    }

    pub(super) fn services(&mut self, services: &[[u32; 3]]) {
        self.class("Service");
        for (id, [image, cpu, state]) in (1..).zip(services) {
            self.object(
                &format!(
                    r#""id":{id},"label":"","state":{state},"_available":false,"cpu_demand":{cpu},"memory_demand":512,"image_digest":"img_{image}""#
                ),
                &format!(r#""application":{},"server":null"#, reference("Application", id)),
            );
        }
    }

    pub(super) fn registries(&mut self, registries: &[u32]) {
        self.class("ContainerRegistry");
        for (id, server) in (1..).zip(registries) {
            let id: u32 = id;
            self.object(
                &format!(r#""id":{id},"cpu_demand":1,"memory_demand":1024"#),
                &format!(r#""server":{}"#, reference("EdgeServer", *server)),
            );
        }
    }

    pub(super) fn applications(&mut self, services: u32, users: &[User]) {
        let mut used: Vec<Vec<u32>> = vec![Vec::new(); services as usize];
        for (id, user) in (1..).zip(users) {
            used[user.application as usize - 1].push(id);
        }
        self.class("Application");
        for (id, users) in (1..).zip(&used) {
            self.object(
                &format!(r#""id":{id},"label":"""#),
                &format!(
                    r#""services":{},"users":{}"#,
                    references("Service", &[id]),
                    references("User", users)
                ),
            );
        }
    }

    pub(super) fn servers(
        &mut self,
        servers: u32,
        network: &Network,
        layers: &[(String, u32)],
        images: &[Image],
        registries: &[u32],
    ) {
        self.class("EdgeServer");
        let size: u32 = 2 + layers.iter().map(|(_, size)| size).sum::<u32>();
        for id in 1..=servers {
            let registry = registries.iter().position(|server| *server == id);
            let (mut demands, mut has) = (
                [0, 0, 0],
                ["[]".to_owned(), "[]".to_owned(), "[]".to_owned()],
            );
            if let Some(at) = registry {
                let at = at as u32;
                demands = [1, 1024, size];
                let count = layers.len() as u32 + 1;
                let layers: Vec<u32> = (at * count + 1..=(at + 1) * count).collect();
                let images: Vec<u32> = if at == 0 {
                    (1..=images.len() as u32 + 1).collect()
                } else {
                    vec![images.len() as u32 + 1 + at]
                };
                has = [
                    references("ContainerLayer", &layers),
                    references("ContainerImage", &images),
                    references("ContainerRegistry", &[at + 1]),
                ];
            }
            let ([cpu, memory, disk], [layers, images, registries]) = (demands, has);
            self.object(
                &format!(
                    r#""id":{id},"available":true,"model_name":"E5430","cpu":16,"memory":32768,"disk":131072,"cpu_demand":{cpu},"memory_demand":{memory},"disk_demand":{disk},"coordinates":{},"max_concurrent_layer_downloads":3,"active":true,"power_model_parameters":{{"max_power_consumption":265,"static_power_percentage":0.6264}}"#,
                    network.place(id)
                ),
                &format!(
                    r#""power_model":"LinearServerPowerModel","base_station":{},"network_switch":{},"services":[],"container_layers":{layers},"container_images":{images},"container_registries":{registries}"#,
                    reference("BaseStation", id),
                    reference("NetworkSwitch", id)
                ),
            );
        }
    }

    pub(super) fn patterns(&mut self, users: &[User]) {
        self.class("RandomDurationAndIntervalAccessPattern");
        self.class("CircularDurationAndIntervalAccessPattern");
        const FOREVER: u32 = 1_000_000_000;
        for (id, user) in (1..).zip(users) {
            let id: u32 = id;
            self.object(
                &format!(
                    r#""id":{id},"duration_values":[{FOREVER}],"interval_values":[0],"history":[{{"start":1,"end":{FOREVER},"duration":{FOREVER},"waiting_time":0,"access_time":0,"interval":0,"next_access":{}}}]"#,
                    FOREVER + 1
                ),
                &format!(
                    r#""user":{},"app":{}"#,
                    reference("User", id),
                    reference("Application", user.application)
                ),
            );
        }
    }
}
