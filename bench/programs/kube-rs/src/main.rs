//! The contender of the benchmark in Rust: kube-rs' reflector of pods with its store, typed.
//!
//! Each object that the reflector applies writes its stamp and the present moment, two i64 of µs since 1970, to $BENCH_OUT.
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{reflector, watcher, WatchStreamExt};
use kube::{Api, Client, Config};

const ANNOTATION: &str = "bench/sent-us";

fn stamp(pod: &Pod, out: &mut File) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_micros() as i64;
    let annotations = pod.metadata.annotations.as_ref().expect("annotations");
    let sent: i64 = annotations[ANNOTATION].parse().expect("a number");
    let mut record = [0; 16];
    record[..8].copy_from_slice(&sent.to_le_bytes());
    record[8..].copy_from_slice(&now.to_le_bytes());
    out.write_all(&record).expect("a file that can be written");
}

#[tokio::main]
async fn main() {
    let path = std::env::var("BENCH_OUT").expect("BENCH_OUT");
    let mut out = OpenOptions::new().create(true).append(true).open(path).expect("a file");
    let kubeconfig = Kubeconfig::read_from(std::env::args().nth(1).expect("a kubeconfig")).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a config");
    let pods: Api<Pod> = Api::all(Client::try_from(config).expect("a client"));
    let (_reader, writer) = reflector::store();
    let mut applied = reflector(writer, watcher(pods, watcher::Config::default())).default_backoff().touched_objects().boxed();
    while let Some(found) = applied.next().await {
        match found {
            Ok(pod) => stamp(&pod, &mut out),
            Err(error) => eprintln!("{error}"),
        }
    }
}
