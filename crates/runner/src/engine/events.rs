//! Server-sent events.

use std::io::{BufRead, BufReader, Read};

/// Bytes of one event: a row of the whole vocabulary has some.
const LINE: u64 = 64 << 20;

/// The data of events, one after the other.
pub(super) struct Events<R> {
    reader: BufReader<R>,
    left: u64,
    line: Vec<u8>,
}

/// How reading on failed.
#[derive(Debug)]
pub(super) enum Broken {
    Io(std::io::Error),
    /// More bytes than are accepted.
    Endless,
}

impl<R: Read> Events<R> {
    /// `limit` is for all events together.
    pub(super) fn new(reader: R, limit: u64) -> Self {
        Self { reader: BufReader::new(reader), left: limit, line: Vec::new() }
    }

    /// The data of the next event; `None` at the end of the stream.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Broken> {
        loop {
            self.line.clear();
            let most = LINE.min(self.left);
            let mut limited = (&mut self.reader).take(most + 1);
            let read = limited.read_until(b'\n', &mut self.line).map_err(Broken::Io)? as u64;
            if read > most {
                return Err(Broken::Endless);
            }
            self.left -= read;
            if read == 0 {
                return Ok(None);
            }
            while self.line.last().is_some_and(u8::is_ascii_whitespace) {
                self.line.pop();
            }
            // llama.cpp of some versions names its errors so.
            for field in [&b"data:"[..], b"error:"] {
                if self.line.starts_with(field) {
                    let data = self.line[field.len()..].trim_ascii_start().len();
                    return Ok(Some(&self.line[self.line.len() - data..]));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_line_by_line_up_to_a_limit() {
        let text = ": hello\n\ndata: {\"a\":1}\r\n\r\nevent: x\ndata:two\n\ndata: [DONE]";
        let mut events = Events::new(text.as_bytes(), 1000);
        let mut all = Vec::new();
        while let Some(data) = events.next().unwrap() {
            all.push(String::from_utf8(data.to_vec()).unwrap());
        }
        assert_eq!(all, ["{\"a\":1}", "two", "[DONE]"]);

        let mut endless = Events::new(std::io::repeat(b'x'), 10_000);
        assert!(matches!(endless.next(), Err(Broken::Endless)));
    }
}
