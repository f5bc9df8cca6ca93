# The image holds the relay and nothing else: no shell, no package manager, no certificates (it opens no connection).
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags='-s -w' -o /signalrelay ./cmd/signalrelay

FROM scratch
COPY --from=build /signalrelay /signalrelay
COPY LICENSE /LICENSE
USER 65532:65532
# In a container the loopback address would be nobody's. The relay therefore refuses to start without an access key.
ENV SIGNALRELAY_LISTEN=0.0.0.0:8888 SIGNALRELAY_ADMIN=0.0.0.0:8889
EXPOSE 8888 8889
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=4s --start-period=5s CMD ["/signalrelay", "healthcheck"]
ENTRYPOINT ["/signalrelay"]
CMD ["serve"]
