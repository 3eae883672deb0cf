//! Builds, from a Dockerfile to what is in the image.

mod adding;
mod arbitrary;
mod bases;
mod caching;
mod copying;
mod describing;
mod place;
mod programs;
mod refusing;
mod running;
mod staging;
