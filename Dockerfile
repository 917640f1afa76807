# The harness alone: a static program and the authorities that wss:// addresses are checked against. ci/release-image makes the
# folder that this is built from. docs/action.md says how to run it.
FROM scratch
COPY wsceiling /wsceiling
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# An empty folder that anybody may write to; only an archive keeps its mode.
ADD tmp.tar /
WORKDIR /work
ENTRYPOINT ["/wsceiling"]
