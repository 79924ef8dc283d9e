# Every image of this repository, built in parallel: docker buildx bake -f docker-bake.hcl [NAME…]
#
# Variables come from the environment: REGISTRY=registry.example.com/acme docker buildx bake -f docker-bake.hcl

# Each from ./Dockerfile. npm run new and npm run remove keep this list, npm test checks it.
variable "SERVICES" {
  default = [
    "roster-api",
    "exports-worker",
    "identity-api",
    "provision",
    "ingress",
  ]
}

# Each from a Dockerfile of its own.
variable "FOLDERS" {
  default = [
    "proxy",
    "backup",
  ]
}

variable "REGISTRY" { default = "keelson" }
variable "IMAGE_TAG" { default = "local" }

# What /healthz and the labels say.
variable "SERVICE_VERSION" { default = "development" }
variable "SERVICE_COMMIT" { default = "unknown" }
variable "BUILD_NUMBER" { default = "none" }

# Where a build finds the steps of an earlier one: "registry" keeps all of them there, "inline" the last ones of each
# image, inside it. The builder that comes with Docker knows inline alone, unless it keeps its images in containerd; one
# of `docker buildx create` knows both.
variable "CACHE" {
  default = "none"
  validation {
    condition     = contains(["none", "inline", "registry"], CACHE)
    error_message = "CACHE must be none, inline or registry."
  }
}

# An inventory of what is inside (SBOM) and a record of how it was made (provenance) beside each image, where the
# builder is one that knows CACHE=registry. The record holds times: the same image gets another digest at every build.
variable "ATTEST" { default = false }

group "default" { targets = ["image"] }

target "image" {
  name    = image
  matrix  = { image = concat(SERVICES, FOLDERS) }
  context = contains(FOLDERS, image) ? image : "."
  args = {
    SERVICE         = image
    SERVICE_VERSION = SERVICE_VERSION
    SERVICE_COMMIT  = SERVICE_COMMIT
    BUILD_NUMBER    = BUILD_NUMBER
  }
  tags   = ["${REGISTRY}/${image}:${IMAGE_TAG}"]
  attest = ATTEST ? ["type=provenance,mode=max", "type=sbom"] : ["type=provenance,disabled=true"]
  cache-from = {
    none     = []
    inline   = ["type=registry,ref=${REGISTRY}/${image}:latest"]
    registry = ["type=registry,ref=${REGISTRY}/${image}:cache"]
  }[CACHE]
  cache-to = {
    none     = []
    inline   = ["type=inline"]
    registry = ["type=registry,ref=${REGISTRY}/${image}:cache,mode=max"]
  }[CACHE]
}
