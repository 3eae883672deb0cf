//! From a container image to one of Golem's.

use std::{
    cell::Cell,
    io::{self, BufReader, Seek},
    path::{Path, PathBuf},
};

use gvmi::{AddError, WriteError, Writer};

use crate::{
    archive,
    compression::{self, Compression},
    digest::Digesting,
    error::ImageError,
    image::{ContainerImage, Layer},
    limits::{Counted, Limits, Meter, Metered},
    region::Region,
    tree::{Kind, Tree},
};

/// Bytes of a layer that are read at a time.
const BUFFER: usize = 256 << 10;

/// What has been packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Files, folders and links.
    pub entries: usize,
    /// Devices, pipes and sockets, which the image does without: every sandbox has its own.
    pub left_out: usize,
}

/// Why a container image cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// It cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// There is no room for its layers while they are unpacked.
    #[error("cannot use the folder {} for what is unpacked meanwhile", path.display())]
    Scratch {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in it cannot be in an image of Golem's.
    #[error("cannot pack the container image {}", image.display())]
    Add {
        /// Where it is.
        image: PathBuf,
        /// What, and why.
        source: AddError,
    },
    /// The image cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl ContainerImage {
    /// Packs what its layers make together, and its configuration, into the new file `target`; the same image gives the
    /// same bytes.
    ///
    /// Owners, permissions and times stay; hard links become files of their own, with contents that are kept once.
    /// Nothing is unpacked but compressed layers, into files of the target's folder that have no names.
    ///
    /// # Errors
    /// If a layer cannot be read, is not the one that the image names, or exceeds the limits; or if the file cannot be
    /// written: it is then not there.
    pub fn pack(&self, target: &Path) -> Result<Packed, PackError> {
        let folder = target
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let tree = self.tree(folder.unwrap_or(Path::new(".")))?;
        let mut writer = Writer::new(tree.root.mode);
        for (path, node) in &tree.nodes {
            let added = match &node.kind {
                Kind::Folder => writer.add_folder(path, node.attributes),
                Kind::File(region) => writer.add_file(path, node.attributes, region.reader()),
                Kind::Link(target) => writer.add_link(path, node.attributes, target),
            };
            added.map_err(|source| PackError::Add {
                image: self.path.clone(),
                source,
            })?;
        }
        let mut configuration = self.configuration.clone();
        // As the original tool has it.
        let id = self.id.to_string();
        configuration.other.insert("Image".into(), id.into());
        writer.write(&configuration, target)?;
        Ok(Packed {
            entries: tree.nodes.len(),
            left_out: tree.left_out,
        })
    }

    /// What the layers make together.
    fn tree(&self, scratch: &Path) -> Result<Tree, PackError> {
        let meter = Meter::new(self.limits);
        let mut tree = Tree::new();
        for (place, layer) in self.layers.iter().enumerate() {
            let failed = |source| ImageError::Layer {
                path: self.path.clone(),
                number: place + 1,
                count: self.layers.len(),
                digest: layer.diff_id,
                source,
            };
            let unpacked = layer.unpacked(scratch, self.limits)?.map_err(failed)?;
            layer
                .visit(&unpacked, &meter, place, &mut tree)
                .map_err(failed)?;
        }
        tree.complete();
        Ok(tree)
    }
}

impl Layer {
    /// Its archive, unpacked if it is compressed. The outer error is that of the scratch folder.
    fn unpacked(&self, scratch: &Path, limits: Limits) -> Result<io::Result<Region>, PackError> {
        let count = Cell::new(0);
        let packed = BufReader::with_capacity(BUFFER, Counted::new(self.packed.reader(), &count));
        let (compression, unpacked) = match compression::unpack(packed) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        if compression == Compression::None {
            return Ok(Ok(self.packed.clone()));
        }
        let no_scratch = |source| PackError::Scratch {
            path: scratch.into(),
            source,
        };
        let mut file = tempfile::tempfile_in(scratch).map_err(no_scratch)?;
        let meter = Meter::new(limits);
        let mut metered = BufReader::with_capacity(BUFFER, Metered::new(unpacked, &meter, &count));
        if let Err(error) = io::copy(&mut metered, &mut file) {
            return Ok(Err(error));
        }
        file.rewind().map_err(no_scratch)?;
        Region::whole(file).map(Ok).map_err(no_scratch)
    }

    /// Puts its entries over those in `tree`, and checks that it is the layer that the image names.
    fn visit(
        &self,
        unpacked: &Region,
        meter: &Meter,
        place: usize,
        tree: &mut Tree,
    ) -> io::Result<()> {
        // Nothing is compressed any more: no ratio can be exceeded.
        let count = Cell::new(u64::MAX);
        let reader = BufReader::with_capacity(BUFFER, unpacked.reader());
        let mut reader = Digesting::new(Metered::new(reader, meter, &count));
        archive::visit_all(&mut reader, meter, |entry, _| {
            tree.put(place, entry, unpacked)
        })?;
        reader.finish(self.diff_id)
    }
}
