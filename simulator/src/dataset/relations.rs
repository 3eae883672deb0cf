//! What objects say of each other.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::DatasetError;
use super::fields::Fields;
use super::saying::{Said, Saying};
use crate::arena::{
    ApplicationId, ImageId, LayerId, LinkId, PatternId, Place, RegistryId, ServerId, ServiceId,
    StationId, SwitchId, Symbol, UserId,
};
use crate::json::Value;
use crate::mobility::MobilityKind;
use crate::model::{Class, Model};
use crate::number::Number;
use crate::paths::Route;
use crate::power::{SWITCH_POWER_MODEL, ServerPowerModel};

/// The ways of a user's requests, by application.
type UserPaths = Vec<(Symbol, Vec<Arc<Route>>)>;

/// What objects say of each other, until all are known.
#[derive(Default)]
pub(crate) struct Relations {
    objects: Vec<Object>,
    /// Per class and id: the first object's place, and if there is a second.
    places: FxHashMap<(Class, i64), (usize, bool)>,
    counts: FxHashMap<Class, usize>,
}

struct Object {
    class: Class,
    id: i64,
    place: usize,
    said: Vec<(String, Said)>,
}

impl Relations {
    pub(super) fn is_empty(&self, class: Class) -> bool {
        self.counts.get(&class).is_none_or(|count| *count == 0)
    }

    /// Reads the relationships of an object.
    pub(super) fn read(
        &mut self,
        class: Class,
        id: i64,
        place: usize,
        fields: &mut Fields<'_, '_>,
    ) -> Result<(), DatasetError> {
        let mut said = Vec::new();
        for (name, value) in fields.take_all() {
            said.push((name.to_owned(), Said::read(name, value, fields)?));
        }
        *self.counts.entry(class).or_default() += 1;
        (self.places.entry((class, id)))
            .and_modify(|known| known.1 = true)
            .or_insert((place, false));
        self.objects.push(Object {
            class,
            id,
            place,
            said,
        });
        Ok(())
    }

    /// Lets all objects know each other.
    pub(super) fn connect(&mut self, model: &mut Model) -> Result<(), DatasetError> {
        let objects = std::mem::take(&mut self.objects);
        for object in objects {
            self.connect_one(object, model)?;
        }
        Ok(())
    }

    fn connect_one(&self, object: Object, model: &mut Model) -> Result<(), DatasetError> {
        let Object {
            class,
            id,
            place,
            said,
        } = object;
        let mut saying = Saying::new(self, class, id, said);
        connect(&mut saying, place, model)?;
        saying.nothing_else()
    }

    /// The place of the first object with this id, and if others have it too.
    pub(super) fn find(&self, class: Class, id: i64) -> Option<(usize, bool)> {
        self.places.get(&(class, id)).copied()
    }

    /// Finds the ways that the dataset says users' requests take.
    pub(super) fn trace_paths(&self, model: &mut Model) -> Result<(), DatasetError> {
        for user in model.users.places() {
            let at = (model.users[user].extra.iter())
                .position(|(name, _)| name == "communication_paths");
            let Some(at) = at else { continue };
            let (_, value) = model.users[user].extra.remove(at);
            let paths = self.read_paths(model, user, &value)?;
            model.users[user].paths = paths;
        }
        count_paths(model);
        Ok(())
    }

    fn read_paths(
        &self,
        model: &mut Model,
        user: UserId,
        value: &Value,
    ) -> Result<UserPaths, DatasetError> {
        let error = |problem: String| DatasetError::Field {
            class: Class::User.name(),
            object: model.users[user].id.to_string(),
            field: "communication_paths".to_owned(),
            problem,
        };
        let not = |what: &str| error(format!("it has what is not {what}"));
        let Value::Map(applications) = value else {
            return Err(not("a map of lists"));
        };
        let mut found = Vec::new();
        for (key, routes) in applications {
            let Value::List(routes) = routes else {
                return Err(not("a list of paths"));
            };
            let mut ways = Vec::new();
            for route in routes {
                let Value::List(switches) = route else {
                    return Err(not("a list of switches"));
                };
                let mut way = Vec::new();
                for switch in switches {
                    let Value::Number(Number::Int(id)) = switch else {
                        return Err(not("a switch's id"));
                    };
                    let known = self.places.get(&(Class::NetworkSwitch, *id));
                    let (place, _) =
                        known.ok_or_else(|| error(format!("there is no NetworkSwitch {id}")))?;
                    way.push(SwitchId::new(*place));
                }
                ways.push(way);
            }
            found.push((key.clone(), ways));
        }
        let mut paths = Vec::new();
        for (key, ways) in found {
            let routes = (ways.into_iter())
                .map(|way| Arc::new(Route::given(model, way)))
                .collect();
            paths.push((model.symbols.intern(&key), routes));
        }
        Ok(paths)
    }
}

/// Counts the users' paths over each link: links only list whose they are.
fn count_paths(model: &mut Model) {
    let keys: FxHashMap<Symbol, ApplicationId> = (model.applications.entries())
        .map(|(place, application)| (application.key, place))
        .collect();
    let mut counts: FxHashMap<(LinkId, ApplicationId), u32> = FxHashMap::default();
    for (key, routes) in model.users.iter().flat_map(|user| &user.paths) {
        let Some(application) = keys.get(key) else {
            continue;
        };
        for link in routes.iter().flat_map(|route| &route.links) {
            *counts.entry((*link, *application)).or_default() += 1;
        }
    }
    for ((link, application), paths) in counts {
        model.links[link].applications.count(application, paths);
    }
}

/// Connects one object with those that it names.
fn connect(saying: &mut Saying<'_>, place: usize, model: &mut Model) -> Result<(), DatasetError> {
    match saying.class() {
        Class::NetworkSwitch => {
            let power = saying.name("power_model", &[SWITCH_POWER_MODEL])?;
            let switch = &mut model.switches[SwitchId::new(place)];
            switch.power.modelled = power.is_some();
            switch.servers = saying.many("edge_servers", Class::EdgeServer)?;
            switch.links = saying.many("links", Class::NetworkLink)?;
            switch.station = saying.one("base_station", Class::BaseStation)?;
        }
        Class::NetworkLink => {
            saying.topology()?;
            saying.no_flows()?;
            let nodes: Vec<SwitchId> = saying.many("nodes", Class::NetworkSwitch)?;
            let Ok(nodes) = <[SwitchId; 2]>::try_from(nodes) else {
                return Err(saying.error("nodes", "it does not name two switches"));
            };
            if nodes[0] == nodes[1] {
                return Err(saying.error("nodes", "it names one switch twice"));
            }
            let link = &mut model.links[LinkId::new(place)];
            link.nodes = nodes;
            for application in saying.many("applications", Class::Application)? {
                link.applications.insert(application);
            }
        }
        Class::BaseStation => {
            let station = &mut model.stations[StationId::new(place)];
            station.users = saying.many("users", Class::User)?;
            station.servers = saying.many("edge_servers", Class::EdgeServer)?;
            station.switch = saying.required("network_switch", Class::NetworkSwitch)?;
        }
        Class::User => {
            let user = &mut model.users[UserId::new(place)];
            user.mobility.kind = saying
                .name("mobility_model", &["pathway", "random_mobility"])?
                .and_then(|name| MobilityKind::named(&name));
            user.applications = saying.many("applications", Class::Application)?;
            user.station = saying.one("base_station", Class::BaseStation)?;
            for (key, pattern) in saying.keyed("access_patterns")? {
                user.patterns.push((model.symbols.intern(&key), pattern));
            }
        }
        Class::ContainerLayer => {
            let layer = &mut model.layers[LayerId::new(place)];
            layer.server = saying.one("server", Class::EdgeServer)?;
        }
        Class::ContainerImage => {
            let image = &mut model.images[ImageId::new(place)];
            image.server = saying.one("server", Class::EdgeServer)?;
        }
        Class::Service => {
            let service = &mut model.services[ServiceId::new(place)];
            service.application = saying.required("application", Class::Application)?;
            service.server = saying.one("server", Class::EdgeServer)?;
        }
        Class::ContainerRegistry => {
            let registry = &mut model.registries[RegistryId::new(place)];
            registry.server = saying.one("server", Class::EdgeServer)?;
        }
        Class::Application => {
            let application = &mut model.applications[ApplicationId::new(place)];
            application.services = saying.many("services", Class::Service)?;
            application.users = saying.many("users", Class::User)?;
        }
        Class::EdgeServer => connect_server(saying, ServerId::new(place), model)?,
        Class::RandomDurationAndIntervalAccessPattern
        | Class::CircularDurationAndIntervalAccessPattern => {
            let pattern = &mut model.patterns[PatternId::new(place)];
            pattern.user = saying.required("user", Class::User)?;
            pattern.application = saying.required("app", Class::Application)?;
        }
        Class::NetworkFlow => {}
    }
    Ok(())
}

fn connect_server(
    saying: &mut Saying<'_>,
    place: ServerId,
    model: &mut Model,
) -> Result<(), DatasetError> {
    let names = ServerPowerModel::ALL.map(ServerPowerModel::name);
    let power = saying.name("power_model", &names)?;
    let server = &mut model.servers[place];
    server.power.model = power.and_then(|name| ServerPowerModel::named(&name));
    server.station = saying.required("base_station", Class::BaseStation)?;
    server.switch = saying.one("network_switch", Class::NetworkSwitch)?;
    server.services = saying.many("services", Class::Service)?;
    server.layers = saying.many("container_layers", Class::ContainerLayer)?;
    server.digests = (server.layers.iter())
        .map(|layer| model.layers[*layer].digest)
        .collect();
    server.images = saying.many("container_images", Class::ContainerImage)?;
    server.registries = saying.many("container_registries", Class::ContainerRegistry)?;
    Ok(())
}
