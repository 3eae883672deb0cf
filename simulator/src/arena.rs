//! Objects of one class, in the order of the dataset, by the place that they have in it.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// The place of an object among those of its class: from 0 in the order of the dataset.
///
/// It is not the object's `id`, which is whatever the dataset says, and which two objects can share.
pub trait Place: Copy + Eq + std::hash::Hash + std::fmt::Debug + 'static {
    /// The place with this number.
    fn new(index: usize) -> Self;
    /// Its number.
    fn index(self) -> usize;
}

macro_rules! places {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(u32);

        impl Place for $name {
            fn new(index: usize) -> Self {
                Self(u32::try_from(index).expect("fewer than four thousand million objects of a class"))
            }

            fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

places! {
    /// A network switch.
    SwitchId
    /// A network link.
    LinkId
    /// A base station.
    StationId
    /// An edge server.
    ServerId
    /// A service.
    ServiceId
    /// A registry of images.
    RegistryId
    /// A copy of a layer on a server, or on its way there.
    LayerId
    /// A copy of an image on a server.
    ImageId
    /// An application.
    ApplicationId
    /// A user.
    UserId
    /// An access pattern.
    PatternId
    /// A network flow.
    FlowId
    /// A text that many objects share.
    Symbol
}

/// The objects of one class.
///
/// It remembers in which step each was last borrowed to be changed, so that what follows from an object need not be
/// found again as long as it stays as it is.
#[derive(Clone, Debug)]
pub struct Arena<P, T> {
    objects: Vec<T>,
    touched: Vec<u32>,
    last_touched: u32,
    now: u32,
    place: PhantomData<P>,
}

impl<P: Place, T> Arena<P, T> {
    pub(crate) fn push(&mut self, object: T) -> P {
        let place = P::new(self.objects.len());
        self.objects.push(object);
        self.touched.push(self.now);
        self.last_touched = self.now;
        place
    }

    /// From here on, whatever changes is taken as changed in step `step`.
    pub(crate) fn begin(&mut self, step: u32) {
        self.now = step;
    }

    /// The step in which it was last borrowed to be changed.
    pub(crate) fn touched(&self, place: P) -> u32 {
        self.touched[place.index()]
    }

    /// The last step in which any was borrowed to be changed.
    pub(crate) fn last_touched(&self) -> u32 {
        self.last_touched
    }

    /// Borrows an object to change what nothing else follows from.
    pub(crate) fn quietly(&mut self, place: P) -> &mut T {
        &mut self.objects[place.index()]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// If there is none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.objects.iter()
    }

    /// Their places, in order.
    pub fn places(&self) -> impl DoubleEndedIterator<Item = P> + ExactSizeIterator + use<P, T> {
        (0..self.objects.len()).map(P::new)
    }

    /// All of them with their places, in order.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = (P, &T)> + ExactSizeIterator {
        self.objects
            .iter()
            .enumerate()
            .map(|(index, object)| (P::new(index), object))
    }
}

impl<P, T> Default for Arena<P, T> {
    fn default() -> Self {
        Self {
            objects: Vec::new(),
            touched: Vec::new(),
            last_touched: 0,
            now: 0,
            place: PhantomData,
        }
    }
}

impl<P: Place, T> Index<P> for Arena<P, T> {
    type Output = T;

    fn index(&self, place: P) -> &T {
        &self.objects[place.index()]
    }
}

impl<P: Place, T> IndexMut<P> for Arena<P, T> {
    fn index_mut(&mut self, place: P) -> &mut T {
        self.touched[place.index()] = self.now;
        self.last_touched = self.now;
        &mut self.objects[place.index()]
    }
}
