//! `simple_service --plot`: the files and what is drawn in them.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};

use crate::service::Service;

/// What a plot must be: an image with a white ground, on which a title, axes with ticks and the observations leave
/// their colours at their places.
struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Picture {
    fn read(path: &Path) -> Self {
        let decoder = png::Decoder::new(BufReader::new(File::open(path).unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut rgb).unwrap();
        assert_eq!(frame.color_type, png::ColorType::Rgb);
        Self {
            width: frame.width as usize,
            height: frame.height as usize,
            rgb,
        }
    }

    fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let start = 3 * (y * self.width + x);
        self.rgb[start..start + 3].try_into().unwrap()
    }

    /// The part of the pixels in a region, given in parts of the picture, that are so.
    fn part(&self, x: [f64; 2], y: [f64; 2], are_so: fn([u8; 3]) -> bool) -> f64 {
        let range = |[from, to]: [f64; 2], size: usize| {
            (from * size as f64) as usize..(to * size as f64) as usize
        };
        let pixels: Vec<_> = range(y, self.height)
            .flat_map(|y| range(x, self.width).map(move |x| (x, y)))
            .map(|(x, y)| are_so(self.pixel(x, y)))
            .collect();
        pixels.iter().filter(|so| **so).count() as f64 / pixels.len() as f64
    }
}

fn dark([red, green, blue]: [u8; 3]) -> bool {
    red < 120 && green < 120 && blue < 120
}

fn blue([red, _, blue]: [u8; 3]) -> bool {
    blue > red.saturating_add(60)
}

fn orange([red, _, blue]: [u8; 3]) -> bool {
    red > blue.saturating_add(120)
}

fn plot(service: &Service, kind: &str) -> PathBuf {
    let printed = service.run(&["--plot", kind]).json();
    printed.as_str().expect("a path as a JSON string").into()
}

#[track_caller]
fn check_titles_and_axes(picture: &Picture) {
    let regions = [
        ("title", [0.25, 0.75], [0.0, 0.1]),
        ("ticks of x", [0.1, 0.95], [0.88, 0.93]),
        ("name of x", [0.35, 0.75], [0.93, 1.0]),
        ("name of y", [0.0, 0.03], [0.2, 0.8]),
        ("ticks of y", [0.04, 0.09], [0.1, 0.9]),
    ];
    for (what, x, y) in regions {
        let part = picture.part(x, y, dark);
        assert!((0.002..0.5).contains(&part), "{what}: {part} of it is dark");
    }
}

#[test]
fn a_distribution_shows_bars_and_a_curve() {
    let service = Service::new();
    service.add(&[9.0, 11.0, 12.0, 13.5, 14.0, 14.2, 14.8, 15.0, 17.0, 20.0]);
    let picture = Picture::read(&plot(&service, "dist"));
    check_titles_and_axes(&picture);
    let (inside_x, inside_y) = ([0.1, 0.97], [0.12, 0.87]);
    assert!(picture.part(inside_x, inside_y, blue) > 0.2);
    assert!(picture.part(inside_x, inside_y, orange) > 0.003);
    // Most of the values are in the middle.
    let middle = picture.part([0.4, 0.6], inside_y, blue);
    assert!(middle > 1.5 * picture.part([0.1, 0.2], inside_y, blue));
}

#[test]
fn a_time_series_shows_a_line() {
    let service = Service::new();
    service.add(&[9.0, 20.0, 12.0, 14.0, 10.0]);
    let picture = Picture::read(&plot(&service, "time"));
    check_titles_and_axes(&picture);
    let part = picture.part([0.1, 0.97], [0.12, 0.87], blue);
    assert!((0.003..0.1).contains(&part), "{part} of it is blue");
    assert_eq!(picture.part([0.0, 1.0], [0.0, 1.0], orange), 0.0);
}

#[test]
fn any_observations_can_be_drawn() {
    let cases: [&[f64]; 4] = [
        &[0.0],
        &[-1e-300, 1e-300],
        &[-1e150, 1e150],
        &[1e16, 1e16 + 2.0],
    ];
    for values in cases {
        let service = Service::new();
        service.add(values);
        for kind in ["dist", "time"] {
            let picture = Picture::read(&plot(&service, kind));
            let part = picture.part([0.0, 1.0], [0.0, 1.0], blue);
            assert!(part > 0.00002, "{values:?} {kind}: {part} of it is blue");
        }
    }
}

#[test]
fn each_plot_is_a_file_of_its_own() {
    let service = Service::new();
    service.add(&[1.0, 2.0]);
    let names: BTreeSet<PathBuf> = ["dist", "dist", "time", "time"]
        .map(|kind| plot(&service, kind))
        .into();
    assert_eq!(names.len(), 4);
    for name in names {
        assert_eq!(name.parent(), Some(&*service.plots()));
        assert!(
            fs::metadata(&name).unwrap().len() > 1000,
            "{}",
            name.display()
        );
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let service = Service::new();
    service.add(&[1.0, 2.0]);
    let why = format!("cannot write a plot into {}: ", service.plots().display());
    fs::remove_dir(service.plots()).unwrap();
    service
        .run(&["--plot", "dist"])
        .fails(&(why.clone() + "No such file"));
    fs::write(service.plots(), "").unwrap();
    service
        .run(&["--plot", "time"])
        .fails(&(why + "Not a directory"));
}
