//! Datasets of any size, the same from every run: for measurements and tests.

mod writer;

use std::fmt::Write;

use writer::{Writer, reference, references};

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
                    // The only switch there is has no neighbour to go to.
                    if let neighbours @ [_, ..] = &network.neighbours[at as usize - 1][..] {
                        at = draws.one_of(neighbours);
                    }
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
