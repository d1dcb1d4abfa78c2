package drivertest

// must returns value and panics if err is not nil.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// errorOf returns the error of a call with two results.
func errorOf[T any](_ T, err error) error { return err }

// errorOf3 returns the error of a call with three results.
func errorOf3[T, U any](_ T, _ U, err error) error { return err }
