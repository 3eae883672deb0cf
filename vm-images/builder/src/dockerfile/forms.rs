//! The forms that arguments of instructions have.

use super::problem::Wrong;

/// The flags before the other arguments, and those: `--name=value` or `--name`.
pub(super) fn flags(arguments: &str) -> (Vec<(&str, Option<&str>)>, &str) {
    let mut flags = Vec::new();
    let mut rest = arguments;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, others) = split_name(flag);
        flags.push(match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        });
        rest = others;
    }
    (flags, rest)
}

/// A flag as it was written.
pub(super) fn written((name, value): (&str, Option<&str>)) -> String {
    match value {
        Some(value) => format!("--{name}={value}"),
        None => format!("--{name}"),
    }
}

/// A JSON array of texts, if there is an array at all.
pub(super) fn json(text: &str) -> Result<Option<Vec<String>>, String> {
    if !text.starts_with('[') {
        return Ok(None);
    }
    // Docker would take what is no JSON as a command for the shell, which nobody means.
    serde_json::from_str(text)
        .map(Some)
        .map_err(|error| format!("{text} is no JSON array of texts in double quotes ({error})"))
}

/// A shell's `[` is no array: whoever means the command writes a space behind it, and no quotes.
pub(super) fn is_shell_test(text: &str) -> bool {
    text.starts_with("[ ") && !text.contains('"') || text.starts_with("[[ ")
}

pub(super) fn mode(digits: &str) -> Result<u32, String> {
    let octal = (1..=4).contains(&digits.trim_start_matches('0').len().max(1))
        && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let mode = if octal {
        u32::from_str_radix(digits, 8).ok()
    } else {
        None
    };
    mode.ok_or_else(|| {
        format!("--chmod={digits}: the permissions must be octal, as in --chmod=755")
    })
}

/// A port with its protocol: `80` or `80/tcp`, or a range of them.
pub(super) fn port(text: &str) -> Result<String, String> {
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let is_port = |number: &str| number.parse::<u16>().is_ok();
    if is_port(first) && is_port(last) && matches!(protocol, "tcp" | "udp" | "sctp") {
        Ok(format!("{numbers}/{protocol}"))
    } else {
        Err(format!("{text} is no port; one is written as 80 or 80/udp"))
    }
}

/// What `FROM` names: an image, and what the stage is called.
pub(super) fn from(arguments: &str) -> Result<(Vec<&str>, &str, Option<String>), Wrong> {
    let (flags, rest) = flags(arguments);
    let mut platforms = Vec::new();
    for flag in flags {
        match flag {
            ("platform", Some(platform)) => platforms.push(platform),
            other => return Err(format!("FROM does not know {}", written(other)).into()),
        }
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    match words[..] {
        [image] => Ok((platforms, image, None)),
        [image, keyword, name] if keyword.eq_ignore_ascii_case("as") => {
            let is_name = name.starts_with(|letter: char| letter.is_ascii_alphabetic())
                && name
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
            if !is_name {
                return Err(format!(
                    "{name} is no name for a stage: it begins with a letter, and has letters, digits, -, _ and . in it"
                )
                .into());
            }
            Ok((platforms, image, Some(name.to_ascii_lowercase())))
        }
        _ => Err("FROM takes an image, or an image and AS and a name".into()),
    }
}

/// Whether a source is to be fetched from elsewhere.
pub(super) fn is_remote(source: &str) -> bool {
    let schemes = ["http://", "https://", "git@", "git://", "ssh://"];
    schemes.iter().any(|scheme| source.starts_with(scheme))
}

/// The first word, and the rest without the spaces between.
pub(super) fn split_name(text: &str) -> (&str, &str) {
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (name, rest.trim_start())
}
