//! Datasets of any size, the same from every run: for measurements and tests.

use std::fmt::Write;

/// What to generate.
#[derive(Clone, Copy, Debug)]
pub struct Mesh {
    /// How many servers; there are about as many switches, and as many users.
    pub servers: u32,
    /// How many steps the users' traces and the events are for.
    pub steps: u32,
    /// How many services there are for each server.
    pub services_per_server: u32,
}

/// A dataset, and the scenario that drives it.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The dataset, as JSON.
    pub dataset: String,
    /// The scenario, as JSON.
    pub scenario: String,
}

/// Draws numbers that follow from a seed.
struct Draws(u64);

impl Draws {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = (self.0)
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(limit)) as u32
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u32) as usize]
    }
}

struct Image {
    name: String,
    digest: String,
    layers: Vec<String>,
}

struct Link {
    ends: [u32; 2],
    bandwidth: &'static str,
    delay: u32,
}

impl Mesh {
    /// Generates a mesh in which every switch has up to six neighbours, with a server at every switch, users who walk
    /// about, and services that are placed in the first ten steps and migrated later.
    ///
    /// # Panics
    /// If there are no servers or no services.
    pub fn generate(&self) -> Generated {
        assert!(self.servers > 0 && self.services_per_server > 0);
        let mut draws = Draws(u64::from(self.servers));
        let network = Network::draw(self.servers, &mut draws);
        let layers: Vec<(String, u32)> = (0..60)
            .map(|at| (format!("d{at}"), 1 + draws.below(60)))
            .collect();
        let images: Vec<Image> = (0..25).map(|at| draw_image(at, &mut draws)).collect();
        let mut dataset = Writer::default();
        network.write(self, &mut dataset);
        let services = self.draw_services(&mut draws);
        let users = self.draw_users(&network, &mut draws);
        dataset.users(&users, &network);
        let registries: Vec<u32> = (0..(self.servers / 50).max(1))
            .map(|at| 1 + at * self.servers / (self.servers / 50).max(1))
            .collect();
        dataset.images(&layers, &images, &registries);
        dataset.services(&services);
        dataset.registries(&registries);
        dataset.applications(services.len() as u32, &users);
        dataset.servers(self.servers, &network, &layers, &images, &registries);
        dataset.patterns(&users);
        Generated {
            dataset: dataset.finish(),
            scenario: self.draw_events(&mut draws),
        }
    }

    fn services(&self) -> u32 {
        self.servers * self.services_per_server
    }

    fn draw_services(&self, draws: &mut Draws) -> Vec<[u32; 3]> {
        (0..self.services())
            .map(|_| {
                [
                    draws.below(25),
                    1 + draws.below(3),
                    draws.one_of(&[0, 0, 0, 40]),
                ]
            })
            .collect()
    }

    fn draw_users(&self, network: &Network, draws: &mut Draws) -> Vec<User> {
        let steps = self.steps as usize + 2;
        (0..self.servers)
            .map(|_| {
                let start = 1 + draws.below(network.places.len() as u32);
                let mut at = start;
                let mut trace = Vec::with_capacity(steps + 25);
                while trace.len() < steps {
                    let stays = 5 + draws.below(20) as usize;
                    trace.extend(std::iter::repeat_n(at, stays));
                    at = draws.one_of(&network.neighbours[at as usize - 1]);
                }
                trace.truncate(steps);
                User {
                    start,
                    trace,
                    application: 1 + draws.below(self.services()),
                }
            })
            .collect()
    }

    fn draw_events(&self, draws: &mut Draws) -> String {
        let services = self.services();
        let mut events: Vec<[u32; 3]> = (1..=services)
            .map(|service| [1 + draws.below(10), service, 1 + draws.below(self.servers)])
            .collect();
        for step in (20..=self.steps).step_by(10) {
            for _ in 0..(services / 20).max(1) {
                events.push([
                    step,
                    1 + draws.below(services),
                    1 + draws.below(self.servers),
                ]);
            }
        }
        events.sort_by_key(|[step, ..]| *step);
        let mut scenario = format!(
            r#"{{"algorithm":"scripted","stop":{{"kind":"steps","steps":{}}},"events":["#,
            self.steps
        );
        for (at, [step, service, server]) in events.into_iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(
                scenario,
                r#"{comma}{{"step":{step},"op":"provision_if_idle","service":{service},"server":{server}}}"#
            )
            .expect("a string takes all");
        }
        scenario.push_str("]}");
        scenario
    }
}

fn draw_image(at: u32, draws: &mut Draws) -> Image {
    let mut layers: Vec<u32> = (0..2 + draws.below(4))
        .map(|_| 1 + draws.below(59))
        .collect();
    layers.sort_unstable();
    layers.dedup();
    layers.insert(0, 0);
    Image {
        name: format!("i{at}"),
        digest: format!("img_{at}"),
        layers: layers
            .into_iter()
            .map(|layer| format!("d{layer}"))
            .collect(),
    }
}

struct User {
    start: u32,
    trace: Vec<u32>,
    application: u32,
}

struct Network {
    places: Vec<[i64; 2]>,
    links: Vec<Link>,
    /// For each switch its neighbours, from 1, in the order of the links.
    neighbours: Vec<Vec<u32>>,
}

impl Network {
    fn draw(servers: u32, draws: &mut Draws) -> Self {
        let columns = (1..)
            .find(|side| side * side >= servers)
            .expect("some square is larger");
        let rows = servers.div_ceil(columns);
        let places: Vec<[i64; 2]> = (0..i64::from(rows))
            .flat_map(|y| {
                (0..i64::from(columns) * 2)
                    .filter(move |x| x % 2 == y % 2)
                    .map(move |x| [x, y])
            })
            .collect();
        let number = |[x, y]: [i64; 2]| {
            let inside =
                (0..i64::from(columns) * 2).contains(&x) && (0..i64::from(rows)).contains(&y);
            inside.then(|| (y * i64::from(columns) + x / 2 + 1) as u32)
        };
        let mut links = Vec::new();
        let mut neighbours = vec![Vec::new(); places.len()];
        for (one, [x, y]) in (1..).zip(&places) {
            for (right, down) in [(-2, 0), (-1, 1), (1, 1), (2, 0), (1, -1), (-1, -1)] {
                let Some(two) = number([x + right, y + down]) else {
                    continue;
                };
                if neighbours[one as usize - 1].contains(&two) {
                    continue;
                }
                neighbours[one as usize - 1].push(two);
                neighbours[two as usize - 1].push(one);
                links.push(Link {
                    ends: [one, two],
                    bandwidth: draws.one_of(&["12.5", "125", "125", "1250"]),
                    delay: 1 + draws.below(5),
                });
            }
        }
        Self {
            places,
            links,
            neighbours,
        }
    }

    fn place(&self, switch: u32) -> String {
        let [x, y] = self.places[switch as usize - 1];
        format!("[{x},{y}]")
    }

    fn write(&self, mesh: &Mesh, out: &mut Writer) {
        out.class("NetworkSwitch");
        let servers_at = |at: u32| {
            if at <= mesh.servers {
                references("EdgeServer", &[at])
            } else {
                "[]".into()
            }
        };
        for at in 1..=self.places.len() as u32 {
            out.object(
                &format!(
                    r#""id":{at},"coordinates":{},"active":true,"power_model_parameters":{{"chassis_power":60,"ports_power_consumption":{{"1250":3,"125":1,"12.5":0.3}}}}"#,
                    self.place(at)
                ),
                &format!(
                    r#""power_model":"ConteratoNetworkPowerModel","edge_servers":{},"links":[],"base_station":{}"#,
                    servers_at(at),
                    reference("BaseStation", at)
                ),
            );
        }
        out.class("NetworkLink");
        for (at, link) in (1..).zip(&self.links) {
            let at: u32 = at;
            let Link {
                bandwidth, delay, ..
            } = link;
            out.object(
                &format!(
                    r#""id":{at},"delay":{delay},"bandwidth":{bandwidth},"bandwidth_demand":0,"active":true"#
                ),
                &format!(
                    r#""topology":{},"active_flows":[],"applications":[],"nodes":{}"#,
                    reference("Topology", 1),
                    references("NetworkSwitch", &link.ends)
                ),
            );
        }
        out.stations_later = (1..=self.places.len() as u32)
            .map(|at| (self.place(at), (at * 7) % 5, servers_at(at)))
            .collect();
    }
}

/// Writes a dataset class by class.
#[derive(Default)]
struct Writer {
    json: String,
    objects: u32,
    stations_later: Vec<(String, u32, String)>,
}

fn reference(class: &str, id: u32) -> String {
    format!(r#"{{"class":"{class}","id":{id}}}"#)
}

fn references(class: &str, ids: &[u32]) -> String {
    let all: Vec<String> = ids.iter().map(|id| reference(class, *id)).collect();
    format!("[{}]", all.join(","))
}

impl Writer {
    fn class(&mut self, class: &str) {
        self.json
            .push_str(if self.json.is_empty() { "{" } else { "]," });
        write!(self.json, "\"{class}\":[").expect("a string takes all");
        self.objects = 0;
    }

    fn object(&mut self, attributes: &str, relationships: &str) {
        let comma = if self.objects > 0 { "," } else { "" };
        self.objects += 1;
        write!(
            self.json,
            r#"{comma}{{"attributes":{{{attributes}}},"relationships":{{{relationships}}}}}"#
        )
        .expect("a string takes all");
    }

    fn finish(mut self) -> String {
        self.json.push_str("]}");
        self.json
    }

    fn users(&mut self, users: &[User], network: &Network) {
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

    fn images(&mut self, layers: &[(String, u32)], images: &[Image], registries: &[u32]) {
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

    fn services(&mut self, services: &[[u32; 3]]) {
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

    fn registries(&mut self, registries: &[u32]) {
        self.class("ContainerRegistry");
        for (id, server) in (1..).zip(registries) {
            let id: u32 = id;
            self.object(
                &format!(r#""id":{id},"cpu_demand":1,"memory_demand":1024"#),
                &format!(r#""server":{}"#, reference("EdgeServer", *server)),
            );
        }
    }

    fn applications(&mut self, services: u32, users: &[User]) {
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

    fn servers(
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

    fn patterns(&mut self, users: &[User]) {
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
