//! Images and the layers that they are made of.

use std::sync::Arc;

use crate::arena::{ImageId, LayerId, ServerId, Symbol};
use crate::json::Extra;
use crate::model::Model;
use crate::number::Number;

/// A copy of a layer: on a server, or on its way there.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The dataset's id.
    pub id: i64,
    /// What tells its content; copies have the same.
    pub digest: Symbol,
    /// Its size in MB.
    pub size: Number,
    /// The instruction that made it.
    pub instruction: Symbol,
    /// The server that has it; none while it waits or is on its way.
    pub server: Option<ServerId>,
    /// What else the dataset says.
    pub extra: Extra,
}

/// A copy of an image on a server.
#[derive(Clone, Debug)]
pub struct Image {
    /// The dataset's id.
    pub id: i64,
    /// Its name.
    pub name: Symbol,
    /// Its tag.
    pub tag: Symbol,
    /// What tells its content; copies have the same.
    pub digest: Symbol,
    /// The digests of its layers, in order. One can stand there twice.
    pub layers: Arc<[Symbol]>,
    /// The architecture that it is for.
    pub architecture: Symbol,
    /// The server that has it.
    pub server: Option<ServerId>,
    /// What else the dataset says.
    pub extra: Extra,
}

impl Model {
    /// The first image with a digest.
    pub fn image(&self, digest: Symbol) -> Option<ImageId> {
        self.first_images.get(&digest).map(|(image, _)| *image)
    }

    /// The first image with a name.
    pub(crate) fn image_named(&self, name: &str) -> Option<ImageId> {
        let name = self.symbols.find(name)?;
        crate::model::find(&self.images, |image| image.name == name)
    }

    /// The first layer with a digest.
    pub fn layer(&self, digest: Symbol) -> Option<LayerId> {
        self.first_layers.get(&digest).copied()
    }

    /// If an image with this digest is on a server's disk.
    pub(crate) fn has_image(&self, server: ServerId, digest: Symbol) -> bool {
        (self.servers[server].images.iter()).any(|image| self.images[*image].digest == digest)
    }

    /// Adds a layer, and remembers it if it is the first with its digest.
    pub(crate) fn add_layer(&mut self, layer: Layer) -> LayerId {
        let digest = layer.digest;
        let place = self.layers.push(layer);
        self.first_layers.entry(digest).or_insert(place);
        place
    }

    /// Adds an image, and remembers it if it is the first with its digest.
    pub(crate) fn add_image(&mut self, image: Image) -> ImageId {
        let digest = image.digest;
        let layers = Arc::clone(&image.layers);
        let place = self.images.push(image);
        self.first_images.entry(digest).or_insert((place, layers));
        place
    }

    /// A copy of `template` with the class's next id, on `server`.
    pub(crate) fn copy_image(&mut self, template: ImageId, server: ServerId) -> ImageId {
        let mut image = self.images[template].clone();
        image.id = next_id(self.images.len());
        image.server = Some(server);
        image.extra = Extra::new();
        let place = self.add_image(image);
        self.servers[server].images.push(place);
        place
    }
}

/// The id of the next object of a class.
///
/// Quirk `counted-ids`: it is the number of objects ever made plus one, and can be one that the dataset has already.
pub(crate) fn next_id(made: usize) -> i64 {
    made as i64 + 1
}
