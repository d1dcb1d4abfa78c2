# Type the password, or pipe it from a password manager: the shell history then contains no secret.
umask 077
head -c 32 /dev/urandom | base64 >pepper
PEPPER_FILE=pepper production make-key >seed-key
production hash-password >admin-password-hash
kubectl create secret generic library --from-file=pepper --from-file=seed-key \
	--from-file=admin-password-hash --from-file=database-url
