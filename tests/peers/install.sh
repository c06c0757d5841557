#!/usr/bin/env bash
# Install the peers of the tests that are not Python packages. What cannot be installed is named with the one command
# that does it: a failure under CI=true, else a warning, and the tests that need it skip.
set -euo pipefail
cd "$(dirname "$0")"
PATH="$PATH:/usr/sbin"

cannot() {
    echo "peers: $1 is missing; run: $2" >&2
    if [ "${CI:-}" = true ]; then exit 1; fi
}

debian() {
    local missing=()
    command -v findscu wlmscpfs storescp >/dev/null || missing+=(dcmtk)
    command -v Orthanc >/dev/null || missing+=(orthanc)
    [ -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so ] || missing+=(orthanc-dicomweb)
    command -v openssl >/dev/null || missing+=(openssl)
    command -v faketime >/dev/null || missing+=(faketime)
    command -v pgbouncer >/dev/null || missing+=(pgbouncer)
    command -v systemd-analyze >/dev/null || missing+=(systemd)
    if [ ${#missing[@]} = 0 ]; then return; fi
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        cannot "${missing[*]}" "sudo apt-get install -y ${missing[*]}"
    elif ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; }; then
        cannot "${missing[*]}" "apt-get install -y ${missing[*]}"
    fi
}

node_peers() {
    if ! command -v npm >/dev/null || ! node -e 'const [a, b] = process.versions.node.split(".").map(Number);
            process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null; then
        cannot "Node.js 20.19 or later with npm" "sudo apt-get install -y nodejs npm"
        return
    fi
    node_peer ehr "the FHIR server"
    node_peer dcmjs "dcmjs-dimse"
    node_peer dicomwebclient "the DICOMweb client of OHIF's viewer"
    node_peer fhirvalidators "FHIR validators"
    node_peer fhirkit "fhir-kit-client"
    node_peer oidc "the identity provider"
}

node_peer() {
    local stamp=$1/node_modules/.installed
    if [ ! "$stamp" -nt "$1/package-lock.json" ]; then
        (cd "$1" && npm ci --no-audit --no-fund --loglevel=error) && touch "$stamp" ||
            cannot "$2" "npm ci --prefix tests/peers/$1"
    fi
}

java_peer() {
    if [ ! "$1/cp.txt" -nt "$1/pom.xml" ]; then
        (cd "$1" && mvn -q -B compile dependency:build-classpath -Dmdep.outputFile=cp.txt) ||
            cannot "$2" "mvn -B compile dependency:build-classpath -Dmdep.outputFile=cp.txt in tests/peers/$1"
    fi
}

java_peers() {
    if ! command -v mvn >/dev/null || ! command -v javac >/dev/null; then
        cannot "Maven with a JDK of 17 or later" "sudo apt-get install -y maven"
        return
    fi
    java_peer hapi "the HAPI FHIR server"
    java_peer hl7validator "HL7's FHIR validator"
    java_peer hapihl7 "HAPI's HL7 v2 client"
}

rust_peers() {
    if ! command -v cargo >/dev/null; then
        cannot "Cargo 1.85 or later" "sudo apt-get install -y cargo"
        return
    fi
    (cd dicomweb-rs && cargo build --quiet) || cannot "the client of dicom-web" "cargo build in tests/peers/dicomweb-rs"
}

browser() {
    if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then return; fi
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        cannot chromium "sudo apt-get install -y chromium"
    elif ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; }; then
        cannot chromium "apt-get install -y chromium"
    fi
}

pixels() {
    local missing=()
    command -v gdcmconv >/dev/null || missing+=(libgdcm-tools)
    command -v dciodvfy >/dev/null || missing+=(dicom3tools)
    command -v ojph_compress >/dev/null || missing+=(openjph-tools)
    command -v cjxl >/dev/null || missing+=(libjxl-tools)
    if [ ${#missing[@]} = 0 ]; then return; fi
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        cannot "${missing[*]}" "sudo apt-get install -y ${missing[*]}"
    elif ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; }; then
        cannot "${missing[*]}" "apt-get install -y ${missing[*]}"
    fi
}

if [ "${1:-}" = browser ]; then
    browser
    exit
fi
if [ "${1:-}" = pixels ]; then
    pixels
    exit
fi
if [ "${1:-}" = java ]; then
    java_peers
    exit
fi
if [ "${1:-}" = rust ]; then
    rust_peers
    exit
fi
debian
node_peers
