//! Passwords on their way to a server: never in clear. A SCRAM-SHA-256 verifier (RFC 5803) is made here and takes their
//! place; knows no connection.

use secrecy::{ExposeSecret as _, SecretString};

/// Letters and digits that are not mistaken for each other in any common typeface.
const ALPHABET: &[u8] = b"23456789abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ";
/// Characters of a generated password: 57 to the 32nd is more than 2 to the 186th.
const LENGTH: usize = 32;

/// A password from the system's own randomness.
#[must_use]
pub fn generate() -> SecretString {
    let mut text = String::with_capacity(LENGTH);
    while text.len() < LENGTH {
        // Bytes beyond the last whole multiple of the alphabet are thrown away: every character is equally likely.
        let byte = usize::from(rand::random::<u8>());
        if byte < 256 - 256 % ALPHABET.len()
            && let Some(c) = ALPHABET.get(byte % ALPHABET.len())
        {
            text.push(char::from(*c));
        }
    }
    SecretString::from(text)
}

/// `SCRAM-SHA-256$4096:salt$stored:server`, with a salt of its own each time.
///
/// # Errors
/// In words, when the server would take it for something else than a password.
pub fn verifier(password: &SecretString) -> Result<String, String> {
    let clear = password.expose_secret();
    if clear.is_empty() {
        return Err("it is empty".to_owned());
    }
    if clear.contains('\0') {
        return Err("it holds a NUL".to_owned());
    }
    let verifier = postgres_protocol::password::scram_sha_256(clear.as_bytes());
    // A malformed one would be stored as if it were the password itself.
    if is_verifier(&verifier) { Ok(verifier) } else { Err("no verifier could be made of it".to_owned()) }
}

fn is_verifier(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("SCRAM-SHA-256$") else { return false };
    let Some((first, keys)) = rest.split_once('$') else { return false };
    let Some((iterations, salt)) = first.split_once(':') else { return false };
    let Some((stored, server)) = keys.split_once(':') else { return false };
    let base64 = |s: &str, n: usize| {
        s.len() == n && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
    };
    iterations.parse::<u32>().is_ok_and(|n| n >= 4096) && base64(salt, 24) && base64(stored, 44) && base64(server, 44)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_holds_no_password() {
        let verifier = verifier(&SecretString::from("canary-7".to_owned())).unwrap();
        assert!(is_verifier(&verifier) && !verifier.contains("canary"), "{verifier}");
        assert!(!verifier.contains('\''), "it stands between quotes");
        assert!(super::verifier(&SecretString::from(String::new())).is_err());
        assert!(!is_verifier("SCRAM-SHA-256$4096:x$y:z") && !is_verifier("md5abc") && !is_verifier("secret"));
    }

    #[test]
    fn generated_passwords_differ() {
        let (a, b) = (generate(), generate());
        assert_eq!(a.expose_secret().len(), LENGTH);
        assert_ne!(a.expose_secret(), b.expose_secret());
    }
}
