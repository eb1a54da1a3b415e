//! Makes `screenshots/` from real runs: `cargo build --release && cargo run --release --example screenshots`. Opens the
//! demo in a pseudo-terminal, presses the keys a person would, and draws what the terminal got. Needs the DejaVu Sans Mono
//! font. Arguments: a folder (default `screenshots`), then sizes as `120x40` (default 80x24 120x40 200x60).

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a tool of the tests")]

use std::{
    fmt::Write as _,
    io::{Read, Write},
    num::NonZeroU16,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use resvg::{tiny_skia, usvg};

/// What to press, what must then be on the screen, and the name of the picture.
const STEPS: &[(&str, &str, &str)] = &[
    ("1", "worst first", "overview"),
    ("2", "Schemas", "schemas"),
    ("3", "Roles", "roles"),
    ("4", "Grants", "grants"),
    ("5", "Sizes", "sizes"),
    ("6", "Sessions", "sessions"),
    ("7", "Versions", "versions"),
    ("8", "Findings", "findings"),
    ("\r", "Why it matters", "finding"),
    ("\u{1b}", "Findings", ""),
    ("?", "help", "help"),
    ("\u{1b}", "Findings", ""),
    ("/grant-excess\r", "of", ""),
    ("f", "What is run", "preview"),
    ("\r", "any other key", ""),
    ("y", "Done and committed", "done"),
    ("\u{1b}", "Findings", ""),
    ("9", "committed", "journal"),
    ("2", "Schemas", ""),
    ("c", "Create a schema", ""),
    ("shop", "shop_app", "create"),
];

const CELL: (f32, f32) = (8.43, 16.3);
const FONT: f32 = 14.0;

struct Terminal {
    parser: Arc<Mutex<vt100::Parser>>,
    writer: Box<dyn Write + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    _master: Box<dyn portable_pty::MasterPty + Send>,
}

impl Terminal {
    fn open(program: &Path, columns: u16, rows: u16) -> Terminal {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(["demo", "--theme", "dark"]);
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        let child = pair.slave.spawn_command(command).unwrap();
        let (rows, columns) = (NonZeroU16::new(rows).unwrap(), NonZeroU16::new(columns).unwrap());
        let parser = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0)));
        let (mut reader, sink) = (pair.master.try_clone_reader().unwrap(), Arc::clone(&parser));
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(n) = reader.read(&mut buffer) {
                if n == 0 {
                    break;
                }
                sink.lock().unwrap().process(&buffer[..n]);
            }
        });
        let writer = pair.master.take_writer().unwrap();
        Terminal { parser, writer, child, _master: pair.master }
    }

    fn press(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// Waits until the text stands there and the screen has been still for a moment.
    fn wait(&self, text: &str, still: Duration) {
        let begin = Instant::now();
        let (mut last, mut since) = (String::new(), Instant::now());
        while begin.elapsed() < Duration::from_secs(90) {
            let now = self.parser.lock().unwrap().screen().contents();
            if now != last {
                (last, since) = (now, Instant::now());
            }
            if last.contains(text) && since.elapsed() > still {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(last.contains(text), "{text:?} never came:\n{last}");
    }
}

fn colour(c: vt100::Color, default: &str) -> String {
    const BASE: [&str; 16] = [
        "#1d1f21", "#cc6666", "#b5bd68", "#f0c674", "#81a2be", "#b294bb", "#8abeb7", "#c5c8c6", "#666666", "#d54e53",
        "#b9ca4a", "#e7c547", "#7aa6da", "#c397d8", "#70c0b1", "#eaeaea",
    ];
    match c {
        vt100::Color::Default => default.to_owned(),
        vt100::Color::Idx(i) if i < 16 => BASE[usize::from(i)].to_owned(),
        vt100::Color::Idx(i) if i >= 232 => format!("#{0:02x}{0:02x}{0:02x}", 8 + (i - 232) * 10),
        vt100::Color::Idx(i) => {
            let i = i - 16;
            let step = |v: u8| if v == 0 { 0 } else { 55 + v * 40 };
            format!("#{:02x}{:02x}{:02x}", step(i / 36), step(i / 6 % 6), step(i % 6))
        }
        vt100::Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
    }
}

fn svg(screen: &vt100::Screen) -> String {
    let (rows, columns) = screen.size();
    let (width, height) = (f32::from(columns.get()) * CELL.0, f32::from(rows.get()) * CELL.1);
    let (back, front) = ("#16181d", "#d0d3d8");
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\"><rect width=\"100%\" height=\"100%\" fill=\"{back}\"/>"
    );
    for row in 0..rows.get() {
        for column in 0..columns.get() {
            let Some(cell) = screen.cell(row, column) else { continue };
            let (x, y) = (f32::from(column) * CELL.0, f32::from(row) * CELL.1);
            let (mut fg, mut bg) = (colour(cell.fgcolor(), front), colour(cell.bgcolor(), back));
            if cell.inverse() {
                std::mem::swap(&mut fg, &mut bg);
            }
            if bg != back {
                let _ = write!(
                    out,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" fill=\"{bg}\"/>",
                    CELL.0 + 0.3,
                    CELL.1 + 0.3
                );
            }
            let text = cell.contents();
            if text.is_empty() || text == " " {
                continue;
            }
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let weight = if cell.bold() { " font-weight=\"bold\"" } else { "" };
            let faint = if cell.dim() { " opacity=\"0.6\"" } else { "" };
            let _ = write!(
                out,
                "<text x=\"{x}\" y=\"{}\" font-family=\"DejaVu Sans Mono\" font-size=\"{FONT}\" fill=\"{fg}\"{weight}{faint}>{escaped}</text>",
                y + 12.8
            );
        }
    }
    out + "</svg>"
}

fn png(svg: &str, path: &Path) {
    let mut options = usvg::Options::default();
    options.fontdb_mut().load_system_fonts();
    let tree = usvg::Tree::from_str(svg, &options).unwrap();
    let size = tree.size().to_int_size();
    let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height()).unwrap();
    resvg::render(&tree, tiny_skia::Transform::default(), &mut pixels.as_mut());
    pixels.save_png(path).unwrap();
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = arguments.first().map_or_else(|| PathBuf::from("screenshots"), PathBuf::from);
    let sizes: Vec<&str> = if arguments.len() > 1 {
        arguments[1..].iter().map(String::as_str).collect()
    } else {
        vec!["80x24", "120x40", "200x60"]
    };
    std::fs::create_dir_all(&folder).unwrap();
    let program = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("pgmoat");
    for size in sizes {
        let (columns, rows) = size.split_once('x').unwrap();
        let mut terminal = Terminal::open(&program, columns.parse().unwrap(), rows.parse().unwrap());
        // the sessions of the demo have waited long enough to be worth telling
        terminal.wait("Overview", Duration::from_millis(10));
        terminal.wait("wait for a lock", Duration::from_millis(600));
        for (keys, text, name) in STEPS {
            terminal.press(keys);
            terminal.wait(text, Duration::from_millis(700));
            if !name.is_empty() {
                let path = folder.join(format!("{name}-{size}.png"));
                png(&svg(terminal.parser.lock().unwrap().screen()), &path);
                println!("{}", path.display());
            }
        }
        // apart, or the two are one key
        terminal.press("\u{1b}");
        terminal.wait("", Duration::from_millis(500));
        terminal.press("q");
        println!("{}", terminal.child.wait().unwrap());
    }
}
