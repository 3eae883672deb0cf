//! How a node is put together.

mod error;
mod remembered;

use std::{
    collections::HashSet,
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use exeunit::Program;
use serde_json::Value;
use tokio_util::task::TaskTracker;
use ya_client_model::NodeId;

pub use self::error::StartError;
use crate::{
    activity::Activities,
    clock::Clock,
    folder::{self, Folder},
    gsb::{Bus, Services, serve_bus},
    http::{self, Api},
    id::Ids,
    identity::Identity,
    local::{Crew, LocalNode},
    market::Market,
    network::{Networks, serve_plugs},
    overview::Outlook,
    payment::{Payments, platform::Platform},
    provider::{
        History, Prices, Provider, Runtime,
        agent::{Agent, Apis},
        exe_unit::Workshop,
        template,
    },
    registry::{Registry, TagError},
    socket::LocalSocket,
    state::{StateError, Store},
};

/// A node to be; from [`LocalNode::builder`](crate::LocalNode::builder).
#[derive(Clone, Debug)]
#[must_use = "a node does nothing until it is started"]
pub struct LocalNodeBuilder {
    providers: Vec<Provider>,
    platforms: Vec<Platform>,
    data_folder: Option<PathBuf>,
    cache_folder: Option<PathBuf>,
    exe_unit: Option<Program>,
    clock: Clock,
    seed: Option<u64>,
    port: u16,
    preferred_port: u16,
    app_keys: Vec<(String, Option<String>)>,
    images: Vec<(PathBuf, Option<String>)>,
}

impl LocalNodeBuilder {
    pub(crate) fn new() -> Self {
        Self {
            providers: default_providers().collect(),
            platforms: Platform::known(),
            data_folder: None,
            cache_folder: None,
            exe_unit: None,
            clock: Clock::system(),
            seed: None,
            port: 0,
            preferred_port: 0,
            app_keys: vec![],
            images: vec![],
        }
    }

    /// Its providers.
    pub fn providers(mut self, providers: impl IntoIterator<Item = Provider>) -> Self {
        self.providers = providers.into_iter().collect();
        self
    }

    /// The payment platforms that it has, the default one first; [`Platform::known`] unless it is told otherwise.
    pub fn platforms(mut self, platforms: impl IntoIterator<Item = Platform>) -> Self {
        self.platforms = platforms.into_iter().collect();
        self
    }

    /// Where it keeps its files, and its state: agreements, activities, allocations, bills, identities. A node that is
    /// started there again goes on with them, and with the exe-units that still run if it was killed. In a temporary
    /// folder unless it is told otherwise.
    pub fn data_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_folder = Some(folder.into());
        self
    }

    /// Where its exe-units keep images; in `$XDG_CACHE_HOME/kiln/exe-unit` unless it is told otherwise.
    pub fn cache_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache_folder = Some(folder.into());
        self
    }

    /// What becomes an exe-unit; this very program unless it is told otherwise.
    pub fn exe_unit(mut self, program: Program) -> Self {
        self.exe_unit = Some(program);
        self
    }

    /// What time it is there.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Makes all ids, the app key among them, follow from a number, and so the same again and again.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// On which port of loopback its API is; on one that is free unless it is told otherwise.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// On which port of loopback its API is, if it can be had and the node was not on another before in its data folder.
    pub fn preferred_port(mut self, port: u16) -> Self {
        self.preferred_port = port;
        self
    }

    /// Lets in a requestor, or a provider of others, with an identity of its own: by an app key that is called `name`,
    /// and that is drawn unless it is given. Without any there is one, `autoconfigured`.
    pub fn app_key(mut self, name: impl Into<String>, key: impl Into<Option<String>>) -> Self {
        self.app_keys.push((name.into(), key.into()));
        self
    }

    /// Puts an image into its registry, where it is found by its hash, and by a tag, `user/name:tag`, if it gets one.
    pub fn image(mut self, path: impl Into<PathBuf>, tag: impl Into<Option<String>>) -> Self {
        self.images.push((path.into(), tag.into()));
        self
    }

    /// Starts the node.
    pub async fn start(self) -> Result<LocalNode, StartError> {
        let program = match &self.exe_unit {
            Some(program) => program.clone(),
            None => Program::this()?,
        };
        let folder = Arc::new(self.folder().await?);
        private(&folder, BUS)?;
        let path = folder.path().join(SOCKET);
        let socket =
            LocalSocket::listen(&path).map_err(|source| StartError::Bus { path, source })?;
        let path = folder.path().join(NETWORK_SOCKET);
        let plugs =
            LocalSocket::listen(&path).map_err(|source| StartError::Networks { path, source })?;
        let (providers, services) = (Crew::new(), Crew::new());
        let store = self.store(&folder, &services)?;
        let (listener, address) = self.listen(store.as_ref()).await?;
        let cache = self.cache(&folder)?;
        let workshop = Workshop {
            limits: self.limits(&program).await,
            program,
            // As exe-units are told it.
            bus_url: format!("unix:{}", socket.path().display()),
            network_socket: folder.path().join(NETWORK_SOCKET),
            cache: cache.clone(),
            activities: private(&folder, ACTIVITIES)?,
            outlive_node: match self.data_folder {
                Some(_) => OUTLIVE_NODE,
                None => Duration::ZERO,
            },
            node: Arc::clone(&folder),
        };

        let mut ids = self.ids(store.as_ref())?;
        let requestors = self.requestors(&mut ids, store.as_ref())?;
        let provider_ids = self.provider_ids(&mut ids, store.as_ref())?;
        let callers = requestors.iter().map(|(_, requestor)| requestor.id);
        let nodes = provider_ids.iter().copied().chain(callers).collect();
        let tasks = &services.tasks;
        let (used, bus) = self.services(nodes, &mut ids, tasks, store).await?;
        let registry = self.registry(&folder, &services.tasks).await?;
        self.hire(&provider_ids, &used, &workshop, &providers)
            .await?;
        let (stop, tasks) = (services.stop.clone(), services.tasks.clone());
        services
            .tasks
            .spawn(serve_bus(socket, bus.clone(), stop, tasks));
        let url = format!("http://{address}");
        let networks = Networks::open(
            ids.fork(),
            used.clock.clone(),
            &services.tasks,
            used.activities.clone(),
        );
        let (stop, tasks) = (services.stop.clone(), services.tasks.clone());
        services
            .tasks
            .spawn(serve_plugs(plugs, networks.clone(), stop, tasks));
        let api = Api {
            outlook: self.outlook(&used, &provider_ids, &requestors, &url),
            identities: requestors.iter().cloned().collect(),
            market: used.market,
            activities: used.activities,
            payments: used.payments,
            services: Services::open(bus, used.clock, &services.tasks, services.stop.clone()),
            networks,
            registry,
            url: url.clone(),
            stop: services.stop.clone(),
            tasks: services.tasks.clone(),
        };
        services.tasks.spawn(http::serve(listener, api));
        tracing::info!(%address, folder = %folder.path().display(), "a node is up");
        Ok(LocalNode {
            url,
            app_keys: requestors
                .into_iter()
                .map(|(key, requestor)| (requestor.name, key))
                .collect(),
            folder,
            cache,
            providers,
            services,
        })
    }

    /// Which limits hold in the runtimes of the providers.
    async fn limits(&self, program: &Program) -> Vec<(Runtime, Value)> {
        let mut runtimes: Vec<&Runtime> = Vec::new();
        for provider in &self.providers {
            if !runtimes.contains(&&provider.runtime) {
                runtimes.push(&provider.runtime);
            }
        }
        let mut known = Vec::new();
        for runtime in runtimes {
            if let Some(limits) = template::limits(program, runtime).await {
                known.push((runtime.clone(), limits));
            }
        }
        known
    }

    async fn registry(&self, folder: &Folder, tasks: &TaskTracker) -> Result<Registry, StartError> {
        let place = private(folder, IMAGES)?;
        let refused = |path: &Path, reason: String| StartError::Image {
            path: path.to_owned(),
            reason,
        };
        let registry = Registry::open(&place, self.clock.clone(), tasks)
            .map_err(|error| refused(&place, error.to_string()))?;
        for (path, tag) in &self.images {
            let tag = tag.as_deref().map(str::parse).transpose();
            let tag = tag.map_err(|error: TagError| refused(path, error.to_string()))?;
            let pushed = registry.push_file(path, tag).await;
            pushed.map_err(|error| refused(path, error.to_string()))?;
        }
        Ok(registry)
    }

    async fn folder(&self) -> Result<Folder, StartError> {
        match &self.data_folder {
            Some(path) => Folder::at(path).await.map_err(StartError::folder(path)),
            None => {
                folder::remove_abandoned();
                let path = env::temp_dir();
                Folder::temporary().map_err(|source| StartError::Folder { path, source })
            }
        }
    }

    fn outlook(
        &self,
        used: &Apis,
        provider_ids: &[NodeId],
        requestors: &[(String, Identity)],
        url: &str,
    ) -> Outlook {
        let providers = self.providers.iter().zip(provider_ids);
        Outlook {
            market: used.market.clone(),
            activities: used.activities.clone(),
            payments: used.payments.clone(),
            providers: providers.map(|(one, id)| one.overview(*id)).collect(),
            requestor: requestors
                .first()
                .map(|(_, one)| one.id)
                .unwrap_or_default(),
            started: self.clock.now(),
            url: url.to_owned(),
        }
    }

    fn cache(&self, folder: &Folder) -> Result<PathBuf, StartError> {
        let path = match &self.cache_folder {
            Some(path) => path.clone(),
            None => folder::user_cache().unwrap_or_else(|| folder.path().join("cache")),
        };
        match fs::create_dir_all(&path).and_then(|()| path.canonicalize()) {
            Ok(path) => Ok(path),
            Err(source) => Err(StartError::Folder { path, source }),
        }
    }

    async fn services(
        &self,
        nodes: HashSet<NodeId>,
        ids: &mut Ids,
        tasks: &TaskTracker,
        store: Option<Store>,
    ) -> Result<(Apis, Bus), StateError> {
        let clock = &self.clock;
        let bus = Bus::open(nodes, clock.clone(), tasks);
        let market = Market::open(ids.fork(), clock.clone(), tasks, store.clone())?;
        let (roster, on) = (ids.fork(), bus.clone());
        let activities = Activities::open(
            roster,
            clock.clone(),
            tasks,
            market.clone(),
            on,
            store.clone(),
        );
        let activities = activities.await?;
        let payments = Payments::open(
            ids.fork(),
            self.platforms.clone(),
            clock.clone(),
            tasks,
            market.clone(),
            activities.clone(),
            store,
        )?;
        let services = Apis {
            market,
            activities,
            payments,
            clock: clock.clone(),
        };
        Ok((services, bus))
    }

    /// Puts all providers to work.
    async fn hire(
        &self,
        ids: &[NodeId],
        services: &Apis,
        workshop: &Workshop,
        crew: &Crew,
    ) -> Result<(), StartError> {
        let mut history = History::look_up(services).await;
        let hired = self.providers.iter().zip(ids).map(|(provider, id)| {
            let (used, workshop) = (services.clone(), workshop.clone());
            let platforms = &self.platforms;
            let agent = Agent::new(provider, *id, platforms, used, workshop, &mut history);
            agent.map_err(|error| StartError::Offer {
                provider: provider.name().to_owned(),
                reason: error.to_string(),
            })
        });
        for agent in hired.collect::<Result<Vec<_>, _>>()? {
            crew.tasks.spawn(agent.run(crew.stop.clone()));
        }
        Ok(())
    }
}

/// For how long the exe-units of a node that keeps its state look for it after it was killed.
const OUTLIVE_NODE: Duration = Duration::from_secs(600);

/// What there is in a node's folder.
const ACTIVITIES: &str = "activities";
const BUS: &str = "bus";
const IMAGES: &str = "images";
const SOCKET: &str = "bus/socket";
const NETWORK_SOCKET: &str = "bus/networks";

fn private(folder: &Folder, name: &str) -> Result<PathBuf, StartError> {
    folder.private(name).map_err(|source| StartError::Folder {
        path: folder.path().join(name),
        source,
    })
}

/// How many providers a node has unless it is told otherwise.
pub(crate) const DEFAULT_PROVIDERS: u32 = 3;

/// The providers that a node has unless it is told otherwise. They differ in what they want.
pub(crate) fn default_providers() -> impl Iterator<Item = Provider> {
    (1..=DEFAULT_PROVIDERS).map(|number| {
        let usual = Prices::default();
        let dearer = |price: f64| price * f64::from(9 + number) / 10.0;
        Provider::new(format!("local-{number}")).prices(Prices {
            start: usual.start,
            second: dearer(usual.second),
            cpu_second: dearer(usual.cpu_second),
        })
    })
}
