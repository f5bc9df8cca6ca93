package suite

// LegacyRecordings are the recordings that the scripts say they are about, by the
// name of a case of each.
func LegacyRecordings() map[string]string {
	all := map[string]string{}
	for _, s := range allLegacyScripts() {
		for _, recording := range s.golden {
			all[recording] = s.cases()[0].Name
		}
	}
	return all
}

// LoadLegacyScripts reads a file of scripts and returns their cases.
func LoadLegacyScripts(text string) (all []Case, err error) {
	scripts, err := loadLegacyScripts(text)
	for _, s := range scripts {
		all = append(all, s.cases()...)
	}
	return all, err
}
