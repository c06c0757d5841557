//! The client of the crate dicom-web: prints the items of a worklist that match, or the answer to a Store, as one line of
//! DICOM JSON. Arguments: base URI, AE title, password, then key=value (a path of eight-digit tags), `fuzzy`, or
//! `limit=N`; or `store` and files.

use dicom_core::ops::AttributeSelector;
use dicom_web::DicomWebClient;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().unwrap_or_default();
    let mut client = DicomWebClient::with_single_url(&next());
    client.set_basic_auth(&next(), &next());
    let mut arguments = arguments.peekable();
    if arguments.next_if_eq("store").is_some() {
        let files: Vec<Vec<u8>> = arguments.map(|path| std::fs::read(path).expect("a file")).collect();
        match client.store_instances().with_data(futures_util::stream::iter(files)).run().await {
            Ok(answer) => println!("{}", serde_json::to_string(&dicom_json::DicomJson::from(answer)).unwrap()),
            Err(error) => println!("\"{error}\""),
        }
        return;
    }
    let mut request = client.query_modality_scheduled_procedure_steps();
    for argument in arguments {
        let (name, value) = argument.split_once('=').unwrap_or((&argument, ""));
        request = match name {
            "fuzzy" => request.with_fuzzymatching(true),
            "limit" => request.with_limit(value.parse().expect("a number")),
            _ => request.with_filter(selector(name), value.to_string()),
        };
    }
    match request.run().await {
        Ok(items) => println!("{}", serde_json::to_string(&dicom_json::DicomJson::from(items)).unwrap()),
        Err(error) => println!("\"{error}\""),
    }
}

fn selector(path: &str) -> AttributeSelector {
    use dicom_core::Tag;
    let tags: Vec<Tag> = path
        .split('.')
        .map(|tag| {
            let number = u32::from_str_radix(tag, 16).expect("eight hexadecimal digits");
            Tag((number >> 16) as u16, (number & 0xffff) as u16)
        })
        .collect();
    match tags[..] {
        [tag] => AttributeSelector::from(tag),
        [sequence, tag] => AttributeSelector::from((sequence, tag)),
        _ => panic!("at most one sequence"),
    }
}
