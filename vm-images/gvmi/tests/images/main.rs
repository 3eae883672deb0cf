//! Images: packed, unpacked, and refused.

mod forgery;
mod packing;
mod place;
mod refusal;
mod unpacking;
mod writing;
