module stele/oracle

go 1.26.0

require golang.org/x/exp v0.0.0-20260820142414-ca536658362e
