// Writes a database of advisories that Trivy reads: a few invented ones, so that tests know what is found.
//
//	trivy-db FOLDER [AGE_IN_HOURS]
//
// FOLDER becomes what Trivy is given as --cache-dir.
package main

import (
	"log"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/aquasecurity/trivy-db/pkg/db"
	"github.com/aquasecurity/trivy-db/pkg/metadata"
	"github.com/aquasecurity/trivy-db/pkg/types"
	bolt "go.etcd.io/bbolt"
)

// An advisory under the exact name of its bucket; those of distributions name the source package.
type invented struct {
	bucket, pkg, id string
	severity        types.Severity
	advisory        types.Advisory
}

// Alpine 3.99 is to come: of a release that is out, Trivy knows when it ends.
var all = []invented{
	{"alpine 3.99", "openssl", "CVE-2099-1001", types.SeverityCritical, types.Advisory{FixedVersion: "3.3.9-r0"}},
	{"npm::GitHub Security Advisory Npm", "left", "CVE-2099-1002", types.SeverityHigh, types.Advisory{
		VulnerableVersions: []string{"<1.0.1"}, PatchedVersions: []string{"1.0.1"}}},
	{"cargo::Open Source Vulnerability", "smallvec", "CVE-2099-1003", types.SeverityMedium, types.Advisory{
		VulnerableVersions: []string{"<1.6.1"}, PatchedVersions: []string{"1.6.1"}}},
}

func main() {
	folder := filepath.Join(os.Args[1], "db")
	age := 0
	if len(os.Args) > 2 {
		hours, err := strconv.Atoi(os.Args[2])
		must(err)
		age = hours
	}
	must(os.MkdirAll(folder, 0o755))
	must(db.Init(folder))
	config := db.Config{}
	must(config.BatchUpdate(func(tx *bolt.Tx) error {
		for _, one := range all {
			source := types.DataSource{ID: "invented", Name: "invented for tests", URL: "https://example.invalid/"}
			must(config.PutDataSource(tx, one.bucket, source))
			must(config.PutAdvisoryDetail(tx, one.id, one.pkg, []string{one.bucket}, &one.advisory))
			must(config.SaveAdvisoryDetails(tx, one.id))
			must(config.PutVulnerability(tx, one.id, types.Vulnerability{
				Title: "invented: " + one.pkg, Severity: one.severity.String(),
				VendorSeverity: types.VendorSeverity{"nvd": one.severity},
			}))
			must(config.PutVulnerabilityID(tx, one.id))
		}
		return nil
	}))
	must(config.DeleteAdvisoryDetailBucket())
	must(db.Close())
	made := time.Now().UTC().Add(-time.Duration(age) * time.Hour)
	must(metadata.NewClient(folder).Update(metadata.Metadata{
		Version: db.SchemaVersion, UpdatedAt: made, DownloadedAt: made, NextUpdate: made.Add(6 * time.Hour),
	}))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
