//! Container images become Golem images.

mod damage;
mod hostile;
mod layers;
mod made;
mod places;
