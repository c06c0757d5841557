#!/bin/sh
# The worklist client of the Rust crate dicom-web 0.5.0 against a DICOMweb server that has no match.
#
# Guess before the run: 204 No Content, which PS3.18 (2025d) 14.4.3 gives as the answer of a search without a match,
# is an empty list to the client; so is 200 with `[]`.
# Seen: 200 with `[]` is an empty list. 204 is the error "Multipart item missing Content-Type header": the client looks at
# Content-Type, which an answer without a body does not have, before it looks at the status.
# For whoever writes such a client: an empty worklist, the most frequent answer of a quiet morning, looks like an outage.
set -eu

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || :; rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "empty-worklist"
version = "0.1.0"
edition = "2021"
[dependencies]
dicom-web = "=0.5.0"
tokio = { version = "1", features = ["rt", "macros"] }
[workspace]
TOML
cat > src/main.rs <<'RUST'
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let base = std::env::args().nth(1).expect("a base URI");
    let client = dicom_web::DicomWebClient::with_single_url(&base);
    match client.query_modality_scheduled_procedure_steps().run().await {
        Ok(items) => println!("{} items", items.len()),
        Err(error) => println!("error: {error}"),
    }
}
RUST
cat > server.py <<'PYTHON'
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        has_body = self.path.startswith("/with-body")
        self.send_response(200 if has_body else 204)
        if has_body:
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", "2")
        self.end_headers()
        if has_body:
            self.wfile.write(b"[]")

    def log_message(self, *_arguments):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
PYTHON
cargo build --quiet
python3 server.py > port &
server=$!
until [ -s port ]; do sleep 0.1; done
port=$(cat port)
with_body=$(target/debug/empty-worklist "http://127.0.0.1:$port/with-body")
without=$(target/debug/empty-worklist "http://127.0.0.1:$port/without")
echo "dicom-web 0.5.0: 200 with [] -> $with_body; 204 -> $without"
[ "$with_body" = "0 items" ]
[ "$without" = "error: Multipart item missing Content-Type header" ]
