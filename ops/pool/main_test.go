package pool

import (
	"testing"

	"flickrkillr/ops/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
